# gnuplot downstream.gp draws downstream.svg and downstream.png
$curve0 << EOD  # L0, normalised MSE, increase of the loss, KL
21.227988591269842 0.3996920446356647 1.009168420952084 1.2184851867828332
28.414124503968253 0.37099137171893165 0.8888304668155709 1.0919612931052436
40.21961805555556 0.3397584083314342 0.7662399082722503 0.9522829434568865
EOD
$curve1 << EOD  # L0, normalised MSE, increase of the loss, KL
15.999193948412698 0.3581348976309458 0.8012123790366815 0.976715082391258
31.99792286706349 0.30338539040169205 0.5937232672041582 0.7388715074207461
63.999441964285715 0.25449944850290496 0.39854789224092757 0.5336895661950911
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
set xrange [13.3327:76.7993]
set ylabel 'increase of the loss (nats a token)'
set logscale y
set yrange [0.332123:1.211]
plot $curve0 using 1:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' title 'relu', \
     $curve1 using 1:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' title 'topk'
set xlabel 'normalised MSE (1 = predicting the mean)'
set logscale x
set xrange [0.212083:0.47963]
plot $curve0 using 2:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 2:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
set xlabel 'L0 (mean number of active latents)'
set logscale x
set xrange [13.3327:76.7993]
set ylabel 'KL(original || replaced) (nats)'
set logscale y
set yrange [0.444741:1.46218]
plot $curve0 using 1:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 1:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
set xlabel 'normalised MSE (1 = predicting the mean)'
set logscale x
set xrange [0.212083:0.47963]
plot $curve0 using 2:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 2:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
unset multiplot
set terminal pngcairo size 1350,1140 font 'DejaVu Sans,14'
set output 'downstream.png'
set multiplot layout 2,2 title 'SmolLM2-135M-Instruct, Q4_1 dequantised, block 22: reconstructions in the residual stream''s place' noenhanced
set xlabel 'L0 (mean number of active latents)'
set logscale x
set xrange [13.3327:76.7993]
set ylabel 'increase of the loss (nats a token)'
set logscale y
set yrange [0.332123:1.211]
plot $curve0 using 1:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' title 'relu', \
     $curve1 using 1:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' title 'topk'
set xlabel 'normalised MSE (1 = predicting the mean)'
set logscale x
set xrange [0.212083:0.47963]
plot $curve0 using 2:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 2:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
set xlabel 'L0 (mean number of active latents)'
set logscale x
set xrange [13.3327:76.7993]
set ylabel 'KL(original || replaced) (nats)'
set logscale y
set yrange [0.444741:1.46218]
plot $curve0 using 1:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 1:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
set xlabel 'normalised MSE (1 = predicting the mean)'
set logscale x
set xrange [0.212083:0.47963]
plot $curve0 using 2:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 2:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
unset multiplot
