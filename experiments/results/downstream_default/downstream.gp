# gnuplot downstream.gp draws downstream.svg and downstream.png
$curve0 << EOD  # L0, normalised MSE, increase of the loss, KL
8.600694444444445 0.43155411835390606 1.0676488678662046 1.3009267006440306
18.58457341269841 0.3148006447704954 0.6359589193917571 0.8300625211082632
25.067708333333332 0.28087025521635506 0.4998228942314463 0.6793692240741837
41.58271329365079 0.2373253711465312 0.36955627513628814 0.5116195663199794
53.921999007936506 0.21831191054751264 0.3045277231703362 0.4442485012541955
116.18179563492063 0.1696042150910185 0.19493106025601586 0.3051381525779565
EOD
$curve1 << EOD  # L0, normalised MSE, increase of the loss, KL
8 0.32373735495194245 0.6225745067481072 0.8161170645742635
16 0.2558669243574671 0.38943792837521723 0.5430849458610263
32 0.2048399962451396 0.23904103923949502 0.36062541592015773
64 0.16202944797973148 0.14007461855127926 0.23678899496604228
128 0.11835520996340879 0.09190607641733461 0.1520872987390368
EOD
set grid
set key top right
set xtics (2, 4, 8, 16, 32, 64, 128, 256, 512, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1)
set ytics (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 2, 5, 10)
set terminal svg size 900,760 background rgb 'white' font 'DejaVu Sans,12'
set output 'downstream.svg'
set multiplot layout 2,2 title 'SmolLM2-135M-Instruct, Q4_1 dequantised, block 22: reconstructions in the residual stream''s place' noenhanced
set xlabel 'L0 (mean number of active latents)'
set logscale x
set xrange [6.66667:153.6]
set ylabel 'increase of the loss (nats a token)'
set logscale y
set yrange [0.0765884:1.28118]
plot $curve0 using 1:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' title 'relu', \
     $curve1 using 1:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' title 'topk'
set xlabel 'normalised MSE (1 = predicting the mean)'
set logscale x
set xrange [0.0986293:0.517865]
plot $curve0 using 2:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 2:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
set xlabel 'L0 (mean number of active latents)'
set logscale x
set xrange [6.66667:153.6]
set ylabel 'KL(original || replaced) (nats)'
set logscale y
set yrange [0.126739:1.56111]
plot $curve0 using 1:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 1:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
set xlabel 'normalised MSE (1 = predicting the mean)'
set logscale x
set xrange [0.0986293:0.517865]
plot $curve0 using 2:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 2:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
unset multiplot
set terminal pngcairo size 1350,1140 font 'DejaVu Sans,14'
set output 'downstream.png'
set multiplot layout 2,2 title 'SmolLM2-135M-Instruct, Q4_1 dequantised, block 22: reconstructions in the residual stream''s place' noenhanced
set xlabel 'L0 (mean number of active latents)'
set logscale x
set xrange [6.66667:153.6]
set ylabel 'increase of the loss (nats a token)'
set logscale y
set yrange [0.0765884:1.28118]
plot $curve0 using 1:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' title 'relu', \
     $curve1 using 1:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' title 'topk'
set xlabel 'normalised MSE (1 = predicting the mean)'
set logscale x
set xrange [0.0986293:0.517865]
plot $curve0 using 2:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 2:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
set xlabel 'L0 (mean number of active latents)'
set logscale x
set xrange [6.66667:153.6]
set ylabel 'KL(original || replaced) (nats)'
set logscale y
set yrange [0.126739:1.56111]
plot $curve0 using 1:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 1:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
set xlabel 'normalised MSE (1 = predicting the mean)'
set logscale x
set xrange [0.0986293:0.517865]
plot $curve0 using 2:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 2:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
unset multiplot
