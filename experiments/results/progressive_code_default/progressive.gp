# gnuplot progressive.gp draws progressive.svg and progressive.png
$front << EOD  # L0, normalised MSE
8 0.3201811881238006
32 0.20505502850658053
EOD
$trained0 << EOD
32.10915595600901 0.25795570994449557
EOD
$topk0 << EOD
3.9998674970186827 0.4588230819522021
7.9838876374718435 0.35757624108954394
15.65702928315887 0.29045749628972606
27.17283688883 0.26169894306859975
32.047939578640516 0.2579694941196507
32.10915595600901 0.2579557098803177
EOD
$jumprelu0 << EOD
4.0233205247118065 0.44864487382491386
7.939419636941831 0.34848330992549026
15.663945938783623 0.283015850519092
31.110136478070757 0.25801223445526955
EOD
$trained1 << EOD
8 0.3201811881238006
EOD
$topk1 << EOD
4 0.3972605232788001
8 0.3201811881238006
15.924075791705313 0.29683892711269494
27.33112495031138 0.2947614672515497
30.160567112760038 0.2949894408933953
30.19838346362793 0.2950021610866667
EOD
$jumprelu1 << EOD
4.035696303166821 0.38944361157495766
7.990406784152643 0.31876933112368444
15.804664104942361 0.2978487983290681
EOD
$trained2 << EOD
32 0.20505502850658053
EOD
$topk2 << EOD
4 0.5174929522650793
8 0.3704236776284319
16 0.2625900502326445
32 0.20505502850658053
62.02451305154366 0.18465232600941237
71.19483238372864 0.18329880098046095
EOD
$jumprelu2 << EOD
4.127494368623294 0.499978818589614
8.160646614548828 0.36036741254717714
16.07547369815821 0.2583916742339031
31.89966874254671 0.20318239872943852
63.457188286736454 0.18378075504262564
EOD
$trained3 << EOD
8 0.30805672002185014
EOD
$topk3 << EOD
4 0.3869602610195342
8 0.30805678089704563
15.990512786537698 0.2728327093268193
30.09116205114615 0.2577751056414163
36.02080296806678 0.25570167656522336
36.05663177421492 0.2556991662636227
EOD
$jumprelu3 << EOD
4.025732078971777 0.3790571384285948
7.988816748376839 0.3046713637489418
15.797429442162448 0.27109032247868914
31.44499801245528 0.256316618232369
EOD
$trained4 << EOD
32 0.20145541447000428
EOD
$topk4 << EOD
4 0.49236140739493056
8 0.3539549219238744
16 0.2561312491385511
32 0.2014554143494267
63.86633099244733 0.17085136329142714
111.72616933881012 0.1579943047298435
EOD
$jumprelu4 << EOD
4.0779647542069695 0.47811210980173635
8.060580363058168 0.34633242620315285
15.94546177288989 0.2527885032629244
31.569709818470916 0.19936638006085303
63.00092752086922 0.16911411522309994
EOD
set grid
set key top right
set terminal svg size 1400,520 background rgb 'white' font 'DejaVu Sans,12'
set output 'progressive.svg'
set multiplot layout 1,3 title 'SmolLM2-135M-Instruct, Q4_1 dequantised, block 22' noenhanced
set logscale xy
set xrange [3.33322:134.071]
set yrange [0.131662:0.620992]
set xtics (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
set ytics (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 2, 5, 10, 20, 50, 100)
set xlabel 'L0 at test time'
set ylabel 'normalised MSE'
set title 'relu' noenhanced
plot NaN with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#555555' title 'TopK(k) at test time' noenhanced, \
     NaN with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#555555' title 'JumpReLU(threshold) at test time' noenhanced, \
     NaN with points pt 9 ps 1.5 lc rgb '#555555' title 'as trained' noenhanced, \
     $front with lines lw 5 lc rgb '#d0d0d0' title 'topk as trained, each k' noenhanced, \
     $topk0 with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#0060ad' title 'trained to L0 32' noenhanced, \
     $jumprelu0 with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#0060ad' notitle, \
     $trained0 with points pt 9 ps 1.5 lc rgb '#0060ad' notitle
set title 'topk' noenhanced
plot NaN with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#555555' title 'TopK(k) at test time' noenhanced, \
     NaN with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#555555' title 'JumpReLU(threshold) at test time' noenhanced, \
     NaN with points pt 9 ps 1.5 lc rgb '#555555' title 'as trained' noenhanced, \
     $front with lines lw 5 lc rgb '#d0d0d0' title 'topk as trained, each k' noenhanced, \
     $topk1 with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#0060ad' title 'trained with k = 8' noenhanced, \
     $jumprelu1 with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#0060ad' notitle, \
     $trained1 with points pt 9 ps 1.5 lc rgb '#0060ad' notitle, \
     $topk2 with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#dd181f' title 'trained with k = 32' noenhanced, \
     $jumprelu2 with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#dd181f' notitle, \
     $trained2 with points pt 9 ps 1.5 lc rgb '#dd181f' notitle
set title 'multi-topk' noenhanced
plot NaN with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#555555' title 'TopK(k) at test time' noenhanced, \
     NaN with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#555555' title 'JumpReLU(threshold) at test time' noenhanced, \
     NaN with points pt 9 ps 1.5 lc rgb '#555555' title 'as trained' noenhanced, \
     $front with lines lw 5 lc rgb '#d0d0d0' title 'topk as trained, each k' noenhanced, \
     $topk3 with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#0060ad' title 'trained with k = 8' noenhanced, \
     $jumprelu3 with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#0060ad' notitle, \
     $trained3 with points pt 9 ps 1.5 lc rgb '#0060ad' notitle, \
     $topk4 with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#dd181f' title 'trained with k = 32' noenhanced, \
     $jumprelu4 with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#dd181f' notitle, \
     $trained4 with points pt 9 ps 1.5 lc rgb '#dd181f' notitle
unset multiplot
set terminal pngcairo size 2100,780 font 'DejaVu Sans,14'
set output 'progressive.png'
set multiplot layout 1,3 title 'SmolLM2-135M-Instruct, Q4_1 dequantised, block 22' noenhanced
set logscale xy
set xrange [3.33322:134.071]
set yrange [0.131662:0.620992]
set xtics (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
set ytics (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 2, 5, 10, 20, 50, 100)
set xlabel 'L0 at test time'
set ylabel 'normalised MSE'
set title 'relu' noenhanced
plot NaN with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#555555' title 'TopK(k) at test time' noenhanced, \
     NaN with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#555555' title 'JumpReLU(threshold) at test time' noenhanced, \
     NaN with points pt 9 ps 1.5 lc rgb '#555555' title 'as trained' noenhanced, \
     $front with lines lw 5 lc rgb '#d0d0d0' title 'topk as trained, each k' noenhanced, \
     $topk0 with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#0060ad' title 'trained to L0 32' noenhanced, \
     $jumprelu0 with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#0060ad' notitle, \
     $trained0 with points pt 9 ps 1.5 lc rgb '#0060ad' notitle
set title 'topk' noenhanced
plot NaN with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#555555' title 'TopK(k) at test time' noenhanced, \
     NaN with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#555555' title 'JumpReLU(threshold) at test time' noenhanced, \
     NaN with points pt 9 ps 1.5 lc rgb '#555555' title 'as trained' noenhanced, \
     $front with lines lw 5 lc rgb '#d0d0d0' title 'topk as trained, each k' noenhanced, \
     $topk1 with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#0060ad' title 'trained with k = 8' noenhanced, \
     $jumprelu1 with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#0060ad' notitle, \
     $trained1 with points pt 9 ps 1.5 lc rgb '#0060ad' notitle, \
     $topk2 with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#dd181f' title 'trained with k = 32' noenhanced, \
     $jumprelu2 with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#dd181f' notitle, \
     $trained2 with points pt 9 ps 1.5 lc rgb '#dd181f' notitle
set title 'multi-topk' noenhanced
plot NaN with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#555555' title 'TopK(k) at test time' noenhanced, \
     NaN with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#555555' title 'JumpReLU(threshold) at test time' noenhanced, \
     NaN with points pt 9 ps 1.5 lc rgb '#555555' title 'as trained' noenhanced, \
     $front with lines lw 5 lc rgb '#d0d0d0' title 'topk as trained, each k' noenhanced, \
     $topk3 with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#0060ad' title 'trained with k = 8' noenhanced, \
     $jumprelu3 with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#0060ad' notitle, \
     $trained3 with points pt 9 ps 1.5 lc rgb '#0060ad' notitle, \
     $topk4 with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#dd181f' title 'trained with k = 32' noenhanced, \
     $jumprelu4 with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#dd181f' notitle, \
     $trained4 with points pt 9 ps 1.5 lc rgb '#dd181f' notitle
unset multiplot
