$sparsity0 << EOD
2.684326171875 0.8847135197292999
5.4031982421875 0.9484967779367883
9.8223876953125 0.976611475960235
44.1280517578125 0.6899802552017358
EOD
$sparsity1 << EOD
2.265625 0.7856206364204722
3.679931640625 0.952645073182182
4.3057861328125 0.9597205545528383
5.64599609375 0.9545742528581269
EOD
$sparsity2 << EOD
2.388916015625 0.8287781275296956
6.5341796875 0.9217059064326525
14.176513671875 0.9573351929893698
19.4344482421875 0.8041875262085179
EOD
$sparsity3 << EOD
2.5048828125 0.9649737399957486
5.30224609375 0.974110051382436
37.7490234375 0.4029211729322982
58.41015625 0.3315460938006814
EOD
$sparsity4 << EOD
3.6480712890625 0.9132733584714329
4.1690673828125 0.9614981619021277
11.26904296875 0.784553810404635
65.66943359375 0.36081852808319675
EOD
$sparsity5 << EOD
1.96875 0.982282320732267
3.899658203125 0.9762376755211467
7.2696533203125 0.9541129445328195
EOD
$sparsity6 << EOD
1.961181640625 0.9789774989966776
3.970458984375 0.9569243708061156
7.8929443359375 0.9333947926127328
EOD
$sparsity7 << EOD
1.96337890625 0.9543677702718333
3.9815673828125 0.9162093510668685
7.915283203125 0.8229895670540223
EOD
$size0 << EOD
64 0.49935704569958717
128 0.976611475960235
256 0.9979654371933337
EOD
$size1 << EOD
64 0.4935305112162739
128 0.9597205545528383
256 0.9971563942919095
EOD
$size2 << EOD
64 0.49009441205765214
128 0.9573351929893698
256 0.9946916036504246
EOD
$size3 << EOD
64 0.4984158484483475
128 0.974110051382436
256 0.9991427064936715
EOD
$size4 << EOD
64 0.48080079088044275
128 0.9614981619021277
256 0.9975164878026406
EOD
$size5 << EOD
64 0.49613949497695825
128 0.982282320732267
256 0.9988568749637399
EOD
$size6 << EOD
64 0.49653364052561433
128 0.9789774989966776
256 0.9991471297890231
EOD
$size7 << EOD
64 0.4955207976284108
128 0.9543677702718333
256 0.9974815839733043
EOD
set grid
set yrange [*:1]
set terminal svg size 1100,560 background rgb 'white' font 'DejaVu Sans,12'
set output 'recovery.svg'
set multiplot layout 1,2 title '128 directions in 64 dimensions, 4 active in a row' noenhanced
set logscale x 2
set key bottom left
set xlabel 'L0, 128 latents'
set ylabel 'mean cosine of a direction with its latent'
plot $sparsity0 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#0060ad' title 'relu', $sparsity1 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#dd181f' title 'prolu', $sparsity2 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#2a8a3c' title 'prolu-ste', $sparsity3 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#8a4fbf' title 'gated', $sparsity4 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#b07000' title 'jumprelu', $sparsity5 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#17a2b8' title 'topk', $sparsity6 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#d63384' title 'batch-topk', $sparsity7 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#6c757d' title 'matryoshka'
set key bottom right
set xlabel 'latents, at the best L0'
plot $size0 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#0060ad' title 'relu', $size1 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#dd181f' title 'prolu', $size2 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#2a8a3c' title 'prolu-ste', $size3 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#8a4fbf' title 'gated', $size4 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#b07000' title 'jumprelu', $size5 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#17a2b8' title 'topk', $size6 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#d63384' title 'batch-topk', $size7 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#6c757d' title 'matryoshka'
unset multiplot
set terminal pngcairo size 1650,840 font 'DejaVu Sans,14'
set output 'recovery.png'
set multiplot layout 1,2 title '128 directions in 64 dimensions, 4 active in a row' noenhanced
set logscale x 2
set key bottom left
set xlabel 'L0, 128 latents'
set ylabel 'mean cosine of a direction with its latent'
plot $sparsity0 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#0060ad' title 'relu', $sparsity1 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#dd181f' title 'prolu', $sparsity2 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#2a8a3c' title 'prolu-ste', $sparsity3 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#8a4fbf' title 'gated', $sparsity4 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#b07000' title 'jumprelu', $sparsity5 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#17a2b8' title 'topk', $sparsity6 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#d63384' title 'batch-topk', $sparsity7 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#6c757d' title 'matryoshka'
set key bottom right
set xlabel 'latents, at the best L0'
plot $size0 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#0060ad' title 'relu', $size1 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#dd181f' title 'prolu', $size2 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#2a8a3c' title 'prolu-ste', $size3 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#8a4fbf' title 'gated', $size4 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#b07000' title 'jumprelu', $size5 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#17a2b8' title 'topk', $size6 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#d63384' title 'batch-topk', $size7 with linespoints pt 7 ps 0.7 lw 2 lc rgb '#6c757d' title 'matryoshka'
unset multiplot
