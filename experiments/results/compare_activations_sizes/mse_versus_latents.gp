# gnuplot mse_versus_latents.gp draws mse_versus_latents.svg and mse_versus_latents.png
$curve0 << EOD
512 0.29653086248171834
1024 0.26552082062311605
2048 0.251852932875746
4096 0.25857656688772745
EOD
$curve1 << EOD
512 0.2529706063144143
1024 0.22323420583890843
2048 0.20575656033368467
4096 0.19689359852068528
EOD
set title 'SmolLM2-135M-Instruct, Q4_1 dequantised, block 22' noenhanced
set xlabel 'latents'
set ylabel 'normalised MSE at that L0 (1 = predicting the mean)'
set logscale xy
set grid
set key outside right top
set xrange [426.667:4915.2]
set yrange [0.164078:0.355837]
set xtics (512, 1024, 2048, 4096)
set ytics (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 2, 5, 10, 20, 50, 100)
set terminal svg size 800,560 background rgb 'white' font 'DejaVu Sans,12'
set output 'mse_versus_latents.svg'
plot $curve0 with linespoints pt 7 ps 0.9 lw 2 lc rgb '#0060ad' title 'relu, L0 32', $curve1 with linespoints pt 7 ps 0.9 lw 2 lc rgb '#dd181f' title 'topk, L0 32'
set terminal pngcairo size 1200,840 font 'DejaVu Sans,14'
set output 'mse_versus_latents.png'
plot $curve0 with linespoints pt 7 ps 0.9 lw 2 lc rgb '#0060ad' title 'relu, L0 32', $curve1 with linespoints pt 7 ps 0.9 lw 2 lc rgb '#dd181f' title 'topk, L0 32'
