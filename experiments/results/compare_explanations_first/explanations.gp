# gnuplot explanations.gp draws explanations.svg and explanations.png
$means0 << EOD
0.6666666666666666 0.5780265598391192 0.4806567251737313 0.6809872660801637
1.6666666666666665 0.13969535813973855 0.08041452981061126 0.20180807416142482
2.6666666666666665 0.15467390423286081 0.09993184568818832 0.21426656863398583
EOD
$means1 << EOD
0.8 0.025339705441162506 0.020063315700782406 0.03110910792256886
1.8 0.7552519245265126 0.703707786390573 0.8000827549054363
2.8 0.048371613729322596 0.03876969733515881 0.05872325752098878
EOD
$means2 << EOD
0.9333333333333333 0.43822829172560157 0.3368444148783719 0.5410102873302096
1.9333333333333333 0.01726122109150526 0.009730576981707711 0.026399542460448754
2.9333333333333336 0.03087803039206624 0.018176527502052307 0.04635415923473528
EOD
$means3 << EOD
1.0666666666666667 0.6308932669704997 0.5301267308115275 0.7242868177524406
2.066666666666667 0.08712016455275085 0.03791003128254819 0.14006567730402883
3.066666666666667 0.10428083293450645 0.058047588323872176 0.1589445795514648
EOD
$means4 << EOD
1.2 0.0226816373660859 0.01532094170143681 0.03048939155515047
2.2 0.6661389052963832 0.6179374528140659 0.7139613309845818
3.2 0.042846670082014246 0.029424098214816626 0.05676822611146308
EOD
$means5 << EOD
1.3333333333333333 0.4746576023201905 0.38324783267382584 0.5544906897459092
2.3333333333333335 0.00895093727652874 0.005740362088583585 0.01267783134322519
3.3333333333333335 0.01668721402491202 0.011038289104127871 0.02305681554657192
EOD
$precision0 << EOD
0.0014007879083630685 0.668996144244654 0.5401975019502376 0.7917878234258577
0.0035726958074540067 0.5112873463838173 0.26099715429710457 0.7445524630433829
0.00676704650020318 0.5773121556447484 0.3024830499006222 0.8521412613888744
0.02079064435233593 0.4714590425068288 0.23849448461335204 0.7166902018520169
EOD
$recall0 << EOD
0.0014007879083630685 0.1400248946975068 0.07208641536965897 0.21328388881808105
0.0035726958074540067 0.2790918268250324 0.06851188242411252 0.5051094694479251
0.00676704650020318 0.1603892766335481 0.01124552355987867 0.35861691186462374
0.02079064435233593 0.050012737549491176 0.013494562429602376 0.09959489159552747
EOD
$precision1 << EOD
0.0014007879083630685 0.4735449735449735 0.25 0.9206349206349206
0.0035726958074540067 0.636435610239256 0.402308933252672 0.8501265187370664
0.00676704650020318 0.5848715717084565 0.45221843982663557 0.732660031225605
0.02079064435233593 0.7520034908121918 0.6099229331268121 0.8869894431175378
EOD
$recall1 << EOD
0.0014007879083630685 0.06190912182950305 0.0009124087591240876 0.1818300464037123
0.0035726958074540067 0.06540276999959661 0.014601421838608039 0.13616250348448863
0.00676704650020318 0.06637720892571232 0.005263994645653276 0.17402059695258737
0.02079064435233593 0.1620697331959343 0.02602907908862381 0.3601313578261245
EOD
set terminal svg size 1000,840 background rgb 'white' font 'DejaVu Sans,12'
set output 'explanations.svg'
set multiplot layout 2,1 title 'SmolLM2-135M-Instruct, Q4_1 dequantised, block 22, 4096 latents: explanations by token patterns' noenhanced
set grid y
set yrange [0:1]
set key outside right center
unset logscale
set xrange [0.5:3.5]
set xlabel ''
set format x
set xtics ('precision' 1, 'recall' 2, 'F1' 3)
set ylabel 'mean over latents, 95 % interval'
plot $means0 with yerrorbars pt 7 ps 0.8 lw 1.3 lc rgb '#0060ad' title 'TopK k 32, patterns' noenhanced, \
     $means1 with yerrorbars pt 4 ps 0.8 lw 1.3 lc rgb '#0060ad' title 'TopK k 32, last-token table' noenhanced, \
     $means2 with yerrorbars pt 8 ps 0.8 lw 1.3 lc rgb '#0060ad' title 'TopK k 32, 5-gram table' noenhanced, \
     $means3 with yerrorbars pt 7 ps 0.8 lw 1.3 lc rgb '#dd181f' title 'ReLU L0 36.0, patterns' noenhanced, \
     $means4 with yerrorbars pt 4 ps 0.8 lw 1.3 lc rgb '#dd181f' title 'ReLU L0 36.0, last-token table' noenhanced, \
     $means5 with yerrorbars pt 8 ps 0.8 lw 1.3 lc rgb '#dd181f' title 'ReLU L0 36.0, 5-gram table' noenhanced
set xrange [*:*]
set logscale x
set xtics auto
set format x '10^{%L}'
set xlabel 'density of the latents (share of tokens), in bins'
plot $precision0 with yerrorlines pt 7 ps 0.7 dt 2 lc rgb '#0060ad' title 'TopK k 32, precision' noenhanced, \
     $recall0 with yerrorlines pt 6 ps 0.7 lw 1.5 lc rgb '#0060ad' title 'TopK k 32, recall' noenhanced, \
     $precision1 with yerrorlines pt 7 ps 0.7 dt 2 lc rgb '#dd181f' title 'ReLU L0 36.0, precision' noenhanced, \
     $recall1 with yerrorlines pt 6 ps 0.7 lw 1.5 lc rgb '#dd181f' title 'ReLU L0 36.0, recall' noenhanced
unset multiplot
set terminal pngcairo size 1500,1260 font 'DejaVu Sans,14'
set output 'explanations.png'
set multiplot layout 2,1 title 'SmolLM2-135M-Instruct, Q4_1 dequantised, block 22, 4096 latents: explanations by token patterns' noenhanced
set grid y
set yrange [0:1]
set key outside right center
unset logscale
set xrange [0.5:3.5]
set xlabel ''
set format x
set xtics ('precision' 1, 'recall' 2, 'F1' 3)
set ylabel 'mean over latents, 95 % interval'
plot $means0 with yerrorbars pt 7 ps 0.8 lw 1.3 lc rgb '#0060ad' title 'TopK k 32, patterns' noenhanced, \
     $means1 with yerrorbars pt 4 ps 0.8 lw 1.3 lc rgb '#0060ad' title 'TopK k 32, last-token table' noenhanced, \
     $means2 with yerrorbars pt 8 ps 0.8 lw 1.3 lc rgb '#0060ad' title 'TopK k 32, 5-gram table' noenhanced, \
     $means3 with yerrorbars pt 7 ps 0.8 lw 1.3 lc rgb '#dd181f' title 'ReLU L0 36.0, patterns' noenhanced, \
     $means4 with yerrorbars pt 4 ps 0.8 lw 1.3 lc rgb '#dd181f' title 'ReLU L0 36.0, last-token table' noenhanced, \
     $means5 with yerrorbars pt 8 ps 0.8 lw 1.3 lc rgb '#dd181f' title 'ReLU L0 36.0, 5-gram table' noenhanced
set xrange [*:*]
set logscale x
set xtics auto
set format x '10^{%L}'
set xlabel 'density of the latents (share of tokens), in bins'
plot $precision0 with yerrorlines pt 7 ps 0.7 dt 2 lc rgb '#0060ad' title 'TopK k 32, precision' noenhanced, \
     $recall0 with yerrorlines pt 6 ps 0.7 lw 1.5 lc rgb '#0060ad' title 'TopK k 32, recall' noenhanced, \
     $precision1 with yerrorlines pt 7 ps 0.7 dt 2 lc rgb '#dd181f' title 'ReLU L0 36.0, precision' noenhanced, \
     $recall1 with yerrorlines pt 6 ps 0.7 lw 1.5 lc rgb '#dd181f' title 'ReLU L0 36.0, recall' noenhanced
unset multiplot
