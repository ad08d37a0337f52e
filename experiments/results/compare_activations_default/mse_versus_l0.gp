# gnuplot mse_versus_l0.gp draws mse_versus_l0.svg and mse_versus_l0.png
$whole0 << EOD
11.218285411421757 0.34668617525272133
17.853107194911885 0.2858866241201599
21.084854909235457 0.2693268930804286
40.2350602888565 0.21666374099696903
128.00307406916656 0.14797116817983724
EOD
$half0 << EOD
13.457188286736452 0.3616880225172258
23.732237975354444 0.2968282335492824
28.844653504703857 0.27795343557620183
65.48957201537034 0.2149242614983464
213.6109447462568 0.13655200604809883
EOD
$whole1 << EOD
8 0.3088850442216131
16 0.24761706554009058
32 0.19835658238679899
64 0.15609809673053915
128 0.11411918144911776
EOD
$half1 << EOD
8 0.32158861334710126
16 0.25575883939480465
32 0.20498959526363392
64 0.1628060078021638
128 0.12002653642081582
EOD
set title 'SmolLM2-135M-Instruct, Q4_1 dequantised, block 22' noenhanced
set xlabel 'L0 (mean number of active latents)'
set ylabel 'normalised MSE (1 = predicting the mean)'
set logscale xy
set grid
set key top right
set xrange [6.666666666666667:256.33313369550814]
set yrange [0.0950993178742648:0.434025627020671]
set xtics (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
set ytics (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1)
set terminal svg size 800,560 background rgb 'white' font 'DejaVu Sans,12'
set output 'mse_versus_l0.svg'
plot $whole0 with linespoints pt 7 ps 0.9 lw 2 lc rgb '#0060ad' title 'relu', \
     $half0 with linespoints pt 6 ps 0.8 lw 1 dt 2 lc rgb '#0060ad' title 'relu, half the tokens', \
     $whole1 with linespoints pt 7 ps 0.9 lw 2 lc rgb '#dd181f' title 'topk', \
     $half1 with linespoints pt 6 ps 0.8 lw 1 dt 2 lc rgb '#dd181f' title 'topk, half the tokens'
set terminal pngcairo size 1200,840 font 'DejaVu Sans,14'
set output 'mse_versus_l0.png'
replot
