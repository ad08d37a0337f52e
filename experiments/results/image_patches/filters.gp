# gnuplot filters.gp draws filters.png from filters.bin
set terminal pngcairo size 1707,609 font 'DejaVu Sans,14'
set output 'filters.png'
unset border
unset tics
unset key
unset colorbox
set palette defined (0 'black', 1 'white')
set cbrange [0:255]
set multiplot
set title 'whitened patches' noenhanced
set lmargin at screen 0.008787346
set rmargin at screen 0.330404218
set bmargin at screen 0.024630542
set tmargin at screen 0.926108374
plot [-0.5:183-0.5] [-0.5:183-0.5] 'filters.bin' binary skip=0 array=(183,183) format='%uchar' flipy with image
set title 'sigmoid, rate 0.015; NMSE 0.494, 89 % edges' noenhanced
set lmargin at screen 0.339191564
set rmargin at screen 0.660808436
set bmargin at screen 0.024630542
set tmargin at screen 0.926108374
plot [-0.5:183-0.5] [-0.5:183-0.5] 'filters.bin' binary skip=33489 array=(183,183) format='%uchar' flipy with image
set title 'TopK, k = 10; NMSE 0.425, 85 % edges' noenhanced
set lmargin at screen 0.669595782
set rmargin at screen 0.991212654
set bmargin at screen 0.024630542
set tmargin at screen 0.926108374
plot [-0.5:183-0.5] [-0.5:183-0.5] 'filters.bin' binary skip=66978 array=(183,183) format='%uchar' flipy with image
unset multiplot
