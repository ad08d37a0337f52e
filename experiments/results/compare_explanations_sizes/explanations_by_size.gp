# gnuplot explanations_by_size.gp draws explanations_by_size.svg and explanations_by_size.png
$precision0 << EOD
32 0.6238578556215686 0.545274765582276 0.7012306915912315
EOD
$precision1 << EOD
32 0.6754551555788052 0.5940375569117688 0.7567443278736483
EOD
$precision2 << EOD
32 0.6778393570779986 0.609931689598255 0.7423253341571533
EOD
$precision3 << EOD
7.999994912080756 0.7113333784738023 0.6323162426905781 0.7881859107992704
32 0.6989320301419508 0.6153303085966845 0.7730103564654017
128 0.5845298879501926 0.5016108714159155 0.6657391379039844
EOD
$recall0 << EOD
32 0.17915775947265974 0.11506201787781235 0.2575605310448067
EOD
$recall1 << EOD
32 0.17737679487390076 0.10681043811241094 0.25669340088764325
EOD
$recall2 << EOD
32 0.14225730172451617 0.09137424005024639 0.1986725568938681
EOD
$recall3 << EOD
7.999994912080756 0.2700015736178373 0.20168010236080514 0.33595248568394903
32 0.11972299872175034 0.08183632461648246 0.16735464163403746
128 0.20372428167166295 0.13483541381580944 0.28337311300995555
EOD
$F10 << EOD
32 0.144792632994435 0.10006916132896353 0.1909578319666512
EOD
$F11 << EOD
32 0.17582893337409272 0.11278170209523249 0.2460792964609457
EOD
$F12 << EOD
32 0.18112355455099532 0.12711013644665548 0.24030681827203892
EOD
$F13 << EOD
7.999994912080756 0.2959652495986655 0.2315040971043353 0.36524091061400216
32 0.16078474187806138 0.11667884663248568 0.21363650931037448
128 0.19799777720807946 0.1422539751227216 0.25879788961215894
EOD
set terminal svg size 1200,440 background rgb 'white' font 'DejaVu Sans,12'
set output 'explanations_by_size.svg'
set multiplot layout 1,3 title 'SmolLM2-135M-Instruct, Q4_1 dequantised, block 22: explanations by token patterns' noenhanced
set grid
set yrange [0:1]
set logscale x 2
set xrange [6.66666:153.6]
set xtics (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
set xlabel 'L0 (mean number of active latents)'
set ylabel 'precision, mean over latents'
plot $precision0 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#0060ad' title 'topk, 512 latents' noenhanced, \
     $precision1 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#dd181f' title 'topk, 1024 latents' noenhanced, \
     $precision2 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#2a8a3c' title 'topk, 2048 latents' noenhanced, \
     $precision3 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#8a4fbf' title 'topk, 4096 latents' noenhanced
set ylabel 'recall, mean over latents'
plot $recall0 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#0060ad' title 'topk, 512 latents' noenhanced, \
     $recall1 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#dd181f' title 'topk, 1024 latents' noenhanced, \
     $recall2 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#2a8a3c' title 'topk, 2048 latents' noenhanced, \
     $recall3 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#8a4fbf' title 'topk, 4096 latents' noenhanced
set ylabel 'F1, mean over latents'
plot $F10 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#0060ad' title 'topk, 512 latents' noenhanced, \
     $F11 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#dd181f' title 'topk, 1024 latents' noenhanced, \
     $F12 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#2a8a3c' title 'topk, 2048 latents' noenhanced, \
     $F13 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#8a4fbf' title 'topk, 4096 latents' noenhanced
unset multiplot
set terminal pngcairo size 1800,660 font 'DejaVu Sans,14'
set output 'explanations_by_size.png'
set multiplot layout 1,3 title 'SmolLM2-135M-Instruct, Q4_1 dequantised, block 22: explanations by token patterns' noenhanced
set grid
set yrange [0:1]
set logscale x 2
set xrange [6.66666:153.6]
set xtics (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
set xlabel 'L0 (mean number of active latents)'
set ylabel 'precision, mean over latents'
plot $precision0 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#0060ad' title 'topk, 512 latents' noenhanced, \
     $precision1 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#dd181f' title 'topk, 1024 latents' noenhanced, \
     $precision2 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#2a8a3c' title 'topk, 2048 latents' noenhanced, \
     $precision3 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#8a4fbf' title 'topk, 4096 latents' noenhanced
set ylabel 'recall, mean over latents'
plot $recall0 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#0060ad' title 'topk, 512 latents' noenhanced, \
     $recall1 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#dd181f' title 'topk, 1024 latents' noenhanced, \
     $recall2 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#2a8a3c' title 'topk, 2048 latents' noenhanced, \
     $recall3 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#8a4fbf' title 'topk, 4096 latents' noenhanced
set ylabel 'F1, mean over latents'
plot $F10 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#0060ad' title 'topk, 512 latents' noenhanced, \
     $F11 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#dd181f' title 'topk, 1024 latents' noenhanced, \
     $F12 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#2a8a3c' title 'topk, 2048 latents' noenhanced, \
     $F13 with yerrorlines pt 7 ps 0.8 lw 1.5 lc rgb '#8a4fbf' title 'topk, 4096 latents' noenhanced
unset multiplot
