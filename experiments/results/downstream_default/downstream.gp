# gnuplot downstream.gp draws downstream.svg and downstream.png
$curve0 << EOD  # L0, normalised MSE, increase of the loss, KL
7.844618055555555 0.4510060238224481 1.150485961487697 1.388958367011447
17.821800595238095 0.32175673273326144 0.656139257183719 0.8486115592312636
27.41393849206349 0.2731715609117477 0.48203337850469735 0.6554863770756385
44.134548611111114 0.231888828814751 0.3411984234868038 0.49635843620736014
68.29303075396825 0.20008018121183724 0.24831884053926315 0.3862784580992724
103.47991071428571 0.17247556452137738 0.18868512897602013 0.30235409732569246
EOD
$curve1 << EOD  # L0, normalised MSE, increase of the loss, KL
8 0.31615362196984437 0.6202818712580108 0.7955193962872247
16 0.24769053694161852 0.3591597368039431 0.5131642866325999
32 0.1965447220062681 0.21406227566542163 0.33096930678086683
64 0.1548344011774774 0.12650554570099037 0.21448821010520513
128 0.11370011415997282 0.09270092211062869 0.14102530730638724
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
set xrange [6.53718:153.6]
set ylabel 'increase of the loss (nats a token)'
set logscale y
set yrange [0.0772508:1.38058]
plot $curve0 using 1:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' title 'relu', \
     $curve1 using 1:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' title 'topk'
set xlabel 'normalised MSE (1 = predicting the mean)'
set logscale x
set xrange [0.0947501:0.541207]
plot $curve0 using 2:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 2:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
set xlabel 'L0 (mean number of active latents)'
set logscale x
set xrange [6.53718:153.6]
set ylabel 'KL(original || replaced) (nats)'
set logscale y
set yrange [0.117521:1.66675]
plot $curve0 using 1:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 1:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
set xlabel 'normalised MSE (1 = predicting the mean)'
set logscale x
set xrange [0.0947501:0.541207]
plot $curve0 using 2:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 2:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
unset multiplot
set terminal pngcairo size 1350,1140 font 'DejaVu Sans,14'
set output 'downstream.png'
set multiplot layout 2,2 title 'SmolLM2-135M-Instruct, Q4_1 dequantised, block 22: reconstructions in the residual stream''s place' noenhanced
set xlabel 'L0 (mean number of active latents)'
set logscale x
set xrange [6.53718:153.6]
set ylabel 'increase of the loss (nats a token)'
set logscale y
set yrange [0.0772508:1.38058]
plot $curve0 using 1:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' title 'relu', \
     $curve1 using 1:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' title 'topk'
set xlabel 'normalised MSE (1 = predicting the mean)'
set logscale x
set xrange [0.0947501:0.541207]
plot $curve0 using 2:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 2:3 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
set xlabel 'L0 (mean number of active latents)'
set logscale x
set xrange [6.53718:153.6]
set ylabel 'KL(original || replaced) (nats)'
set logscale y
set yrange [0.117521:1.66675]
plot $curve0 using 1:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 1:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
set xlabel 'normalised MSE (1 = predicting the mean)'
set logscale x
set xrange [0.0947501:0.541207]
plot $curve0 using 2:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' notitle, \
     $curve1 using 2:4 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' notitle
unset multiplot
