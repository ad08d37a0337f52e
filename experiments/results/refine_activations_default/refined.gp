# gnuplot refined.gp draws refined.svg and refined.png
$errors0 << EOD
7.20965576171875 0.446927708868422 0.38168149766451803
18.32513427734375 0.3112509213206868 0.25711393333535226
28.56756591796875 0.26376175900607757 0.21269569528293827
70.80426025390625 0.19325797525904861 0.14231265573399987
108.0672607421875 0.16555590205914272 0.11260412058936875
EOD
$histogram0 << EOD
-0.975 0.0852322
-0.925 0.00362781
-0.875 0.00396965
-0.825 0.00418544
-0.775 0.00457001
-0.725 0.00501441
-0.675 0.00552077
-0.625 0.00607412
-0.575 0.00678345
-0.525 0.00723212
-0.475 0.00830465
-0.425 0.00927249
-0.375 0.0101164
-0.325 0.0111783
-0.275 0.0125521
-0.225 0.014398
-0.175 0.0162803
-0.125 0.0181049
-0.075 0.0205405
-0.025 0.0234868
0.025 0.0257194
0.075 0.0263668
0.125 0.0254438
0.175 0.0232005
0.225 0.0210169
0.275 0.0194786
0.325 0.0180215
0.375 0.0166905
0.425 0.0155517
0.475 0.0143104
0.525 0.013428
0.575 0.0125884
0.625 0.012176
0.675 0.0112295
0.725 0.0108151
0.775 0.0100951
0.825 0.00975535
0.875 0.00913148
0.925 0.00880673
0.975 0.00836447
1.025 0.00802049
1.075 0.00792435
1.125 0.00736672
1.175 0.00731331
1.225 0.00672149
1.275 0.00660612
1.325 0.00632837
1.375 0.0061489
1.425 0.00601644
1.475 0.00561905
1.525 0.00543531
1.575 0.00533489
1.625 0.00508919
1.675 0.00490972
1.725 0.0046918
1.775 0.0047858
1.825 0.00454438
1.875 0.00448669
1.925 0.00423458
EOD
$errors1 << EOD
8 0.30827525318694526 0.2985723892001685
16 0.2424758430274591 0.23199042304771322
32 0.19300591326802055 0.18155507722828565
64 0.15178424549488714 0.13963950215129264
128 0.111117004413239 0.10131462226513062
EOD
$histogram1 << EOD
-0.975 0.00302696
-0.925 0.000928879
-0.875 0.00122833
-0.825 0.00160217
-0.775 0.00218391
-0.725 0.00273132
-0.675 0.00355721
-0.625 0.00482178
-0.575 0.00617027
-0.525 0.00819969
-0.475 0.0103722
-0.425 0.0135212
-0.375 0.0175743
-0.325 0.0230103
-0.275 0.0296593
-0.225 0.0386848
-0.175 0.0501461
-0.125 0.066288
-0.075 0.0871601
-0.025 0.110014
0.025 0.109024
0.075 0.0837326
0.125 0.061985
0.175 0.0477486
0.225 0.0370255
0.275 0.030098
0.325 0.0246296
0.375 0.0197372
0.425 0.0167103
0.475 0.0137596
0.525 0.011816
0.575 0.00946236
0.625 0.00807762
0.675 0.00688171
0.725 0.00576591
0.775 0.00503922
0.825 0.00420761
0.875 0.00349236
0.925 0.00303268
0.975 0.00245857
1.025 0.00198364
1.075 0.00185394
1.125 0.00157166
1.175 0.00131035
1.225 0.00112343
1.275 0.000988007
1.325 0.000787735
1.375 0.000680923
1.425 0.000564575
1.475 0.000514984
1.525 0.000391006
1.575 0.000362396
1.625 0.000295639
1.675 0.000295639
1.725 0.000242233
1.775 0.00021553
1.825 0.000148773
1.875 0.00012207
1.925 0.000144958
EOD
set grid
set key top right
set terminal svg size 1100,480 background rgb 'white' font 'DejaVu Sans,12'
set output 'refined.svg'
set multiplot layout 1,2 title 'SmolLM2-135M-Instruct, Q4_1 dequantised, block 22' noenhanced
set logscale xy
set xrange [6.00805:153.6]
set yrange [0.0844289:0.536313]
set xtics (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
set ytics (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 2, 5, 10, 20, 50, 100)
set xlabel 'L0 (mean number of active latents)'
set ylabel 'normalised MSE'
plot $errors0 using 1:2 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' title 'relu', \
     $errors0 using 1:3 with linespoints pt 2 ps 0.8 lw 1 dt 2 lc rgb '#0060ad' title 'relu, refined', \
     $errors1 using 1:2 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' title 'topk', \
     $errors1 using 1:3 with linespoints pt 2 ps 0.8 lw 1 dt 2 lc rgb '#dd181f' title 'topk, refined'
unset logscale
set xrange [-1:2]
set yrange [0:*]
set xtics 0.5
set ytics auto
set xlabel 'refined / encoded - 1 of an active value'
set ylabel 'share of the active values, in steps of 0.05'
plot $histogram0 using 1:2 with histeps lw 2 lc rgb '#0060ad' title 'relu, L0 29', \
     $histogram1 using 1:2 with histeps lw 2 lc rgb '#dd181f' title 'topk, L0 32'
unset multiplot
set terminal pngcairo size 1650,720 font 'DejaVu Sans,14'
set output 'refined.png'
set multiplot layout 1,2 title 'SmolLM2-135M-Instruct, Q4_1 dequantised, block 22' noenhanced
set logscale xy
set xrange [6.00805:153.6]
set yrange [0.0844289:0.536313]
set xtics (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
set ytics (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 2, 5, 10, 20, 50, 100)
set xlabel 'L0 (mean number of active latents)'
set ylabel 'normalised MSE'
plot $errors0 using 1:2 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0060ad' title 'relu', \
     $errors0 using 1:3 with linespoints pt 2 ps 0.8 lw 1 dt 2 lc rgb '#0060ad' title 'relu, refined', \
     $errors1 using 1:2 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#dd181f' title 'topk', \
     $errors1 using 1:3 with linespoints pt 2 ps 0.8 lw 1 dt 2 lc rgb '#dd181f' title 'topk, refined'
unset logscale
set xrange [-1:2]
set yrange [0:*]
set xtics 0.5
set ytics auto
set xlabel 'refined / encoded - 1 of an active value'
set ylabel 'share of the active values, in steps of 0.05'
plot $histogram0 using 1:2 with histeps lw 2 lc rgb '#0060ad' title 'relu, L0 29', \
     $histogram1 using 1:2 with histeps lw 2 lc rgb '#dd181f' title 'topk, L0 32'
unset multiplot
