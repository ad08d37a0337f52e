# gnuplot explanations.gp draws explanations.svg and explanations.png
$means0 << EOD
0.6666666666666666 0.5888593521870402 0.45941781050927927 0.7223471906945135
1.6666666666666665 0.13484510480586331 0.052334213215607904 0.22285011577147906
2.6666666666666665 0.13916868004653063 0.06183126149023582 0.22361837096026801
EOD
$means1 << EOD
0.8 0.023229101352486098 0.017899630660773175 0.028927393959932768
1.8 0.7799484960123184 0.715445380961247 0.8373857832256727
2.8 0.04470702204612586 0.0347057977073807 0.05532574291580161
EOD
$means2 << EOD
0.9333333333333333 0.4195767111115516 0.30714259731649435 0.5431240181790089
1.9333333333333333 0.019012262616067813 0.007719030853902916 0.03077457076373545
2.9333333333333336 0.03318517815231067 0.01440389838761214 0.05344068546253824
EOD
$means3 << EOD
1.0666666666666667 0.6259303733854009 0.4908809559646506 0.739690475320833
2.066666666666667 0.08525321579469919 0.025505762484008754 0.16241245628203635
3.066666666666667 0.10623868409201331 0.04090286969029932 0.17592602650515432
EOD
$means4 << EOD
1.2 0.022681630551463366 0.014032352207312348 0.0330391436288844
2.2 0.6772088464854887 0.6210585166629762 0.7349001279028675
3.2 0.0427585069340344 0.02699932510687018 0.06149752754054771
EOD
$means5 << EOD
1.3333333333333333 0.4815901799017609 0.35732767575604724 0.5991649687222054
2.3333333333333335 0.008797577152554083 0.004295518626281105 0.014105387565525004
3.3333333333333335 0.01629361487322916 0.00831454970950745 0.024969224641842817
EOD
$precision0 << EOD
0.0015375384541530136 0.6156794375179441 0.41704619863812525 0.8298443370907139
0.00451769086733824 0.686648768130088 0.4246117436255478 0.8952583985041852
0.017343629846838394 0.47055688595326556 0.23500655602148768 0.7365833048602615
EOD
$recall0 << EOD
0.0015375384541530136 0.11467425367994696 0.013572589075699942 0.2471978982773583
0.00451769086733824 0.2603945555905758 0.03432176390027151 0.48855212516974117
0.017343629846838394 0.07131632207530475 0.00245899273695494 0.15745916088516268
EOD
$precision1 << EOD
0.0015375384541530136 0.5117724867724868 0.24444444444444446 0.7791005291005292
0.00451769086733824 0.6834355605853218 0.4910130718954248 0.8776418870510545
0.017343629846838394 0.6634146770650869 0.5117688726978344 0.8307339987395389
EOD
$recall1 << EOD
0.0015375384541530136 0.04040877198029621 0.002748415910811968 0.10841363816034487
0.00451769086733824 0.07288954301934188 0.003710128146234011 0.16340349420867595
0.017343629846838394 0.14776004928818406 0.017472032742113387 0.3717536994535289
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
