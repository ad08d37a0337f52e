# gnuplot mse_versus_l0.gp draws mse_versus_l0.svg and mse_versus_l0.png
$whole0 << EOD
8.070367916611458 0.32139034485142987 0.3210304535539305 0.32188411439207 0.32139034485142987 NaN
16.185071330771606 0.25272254297332125 0.25199390233085195 0.2534891161731367 0.25272254297332125 NaN
32.10963296674175 0.20268616343409507 0.20244476113322254 0.2031053971846249 0.20268616343409507 NaN
63.98144074908352 0.15936027853048082 0.15869205295458547 0.15984107893651853 NaN 0.15936027853048082
128.12093105428204 0.11530217819527247 0.11471092187369401 0.11580401984092369 NaN 0.11530217819527247
EOD
$whole1 << EOD
8.0083300207588 0.3132033831209427 0.31287454906449474 0.3134584994458234 0.3132033831209427 NaN
19.451570160328608 0.24228208821138558 0.2417052599360731 0.2431013820645505 0.24228208821138558 NaN
29.40366591581644 0.21677784883158313 0.21666313096031073 0.21697586286188728 0.21677784883158313 NaN
62.69096771344023 0.17406151051028454 0.17380549871611414 0.1742310457273176 0.17406151051028454 NaN
147.51861666887507 0.12500170709606956 0.12483345938227708 0.12518039932660543 0.12500170709606956 NaN
EOD
$whole2 << EOD
8.947943995406563 0.30045978963932557 0.29966332268761875 0.30162752526118974 NaN 0.30045978963932557
15.910834327105693 0.24910596916679806 0.2484980012684567 0.24948484645380004 NaN 0.24910596916679806
32.7929685084581 0.20055308856043152 0.20017456908546988 0.2007807854234615 NaN 0.20055308856043152
56.752493264431784 0.16825392300794292 0.1677771686971019 0.16858414443568104 NaN 0.16825392300794292
146.43593480853318 0.10801165021993232 0.1072436706406911 0.10940615409611111 NaN 0.10801165021993232
EOD
$whole3 << EOD
8.081012322777262 0.34248740111616366 0.34238658304095687 0.3425532386550901 0.34248740111616366 NaN
16.033540921337398 0.27448359604510375 0.2740981829482143 0.2746945275955243 0.27448359604510375 NaN
32.18943509562298 0.22591121055947794 0.22561549224562333 0.22637498455327595 0.22591121055947794 NaN
64.30632039220882 0.1858220799149652 0.18520979228427678 0.18701670858685995 0.1858220799149652 NaN
128.20886886621616 0.13847827935192147 0.13825959766900228 0.13859068215088674 0.13847827935192147 NaN
EOD
$whole4 << EOD
8 0.31428308766007107 0.31416452168375775 0.3143714237277832 0.31428308766007107 NaN
16 0.2527199115389022 0.25262187020282456 0.25278920029091834 0.2527199115389022 NaN
32 0.20466488781900422 0.20437476688304554 0.20492948338099037 0.20466488781900422 NaN
64 0.16271055988181035 0.162542368820281 0.16283876560024269 0.16271055988181035 NaN
128 0.12020136125879799 0.12005791598662058 0.12037528494917869 0.12020136125879799 NaN
EOD
$whole5 << EOD
8 0.7143843609531324 0.7143843609531324 0.7143843609531324 0.7143843609531324 NaN
16 0.6315798938739848 0.6315798938739848 0.6315798938739848 0.6315798938739848 NaN
32 0.535497432297934 0.535497432297934 0.535497432297934 0.535497432297934 NaN
64 0.4267473089576279 0.4267473089576279 0.4267473089576279 0.4267473089576279 NaN
128 0.29489225463481206 0.29489225463481206 0.29489225463481206 0.29489225463481206 NaN
EOD
$whole6 << EOD
6.642939799478821 0.39565743821429256 0.3951894154839362 0.3959010109506431 0.39565743821429256 NaN
17.61999911664679 0.2759160376050955 0.27547649148188574 0.27652741384531376 0.2759160376050955 NaN
33.482054679563625 0.22485998200503288 0.22446713445872707 0.22560351241191565 0.22485998200503288 NaN
61.21893909279626 0.18481402465892516 0.18430618837300436 0.1856590714035471 NaN 0.18481402465892516
126.41914226403426 0.13875757049071263 0.13726566953141825 0.14124787548403359 NaN 0.13875757049071263
EOD
$whole7 << EOD
7.08295569983658 0.4561840553336325 0.4527986015430446 0.45881839042492045 0.4561840553336325 NaN
17.35366812419946 0.28698499686958473 0.28651990921542314 0.2873624599682414 NaN 0.28698499686958473
26.525842498122874 0.2356387939677997 0.23394726457048487 0.23746378253051903 NaN 0.2356387939677997
89.02975133607174 0.1921194155117688 0.18887347383184752 0.19566016716994813 NaN 0.1921194155117688
155.72952608100348 0.13649166077515862 0.12905178546092066 0.1489378175664384 NaN 0.13649166077515862
EOD
$whole8 << EOD
7.986581864758623 0.4152940266884768 0.41373078563915505 0.4168309699323007 0.4152940266884768 NaN
17.948262002561723 0.3097438002996003 0.3078695504626672 0.31298653970124224 0.3097438002996003 NaN
28.756300516761627 0.2635012831361223 0.261943829937472 0.2657162892428053 NaN 0.2635012831361223
71.87459917848152 0.191970565575232 0.19176091688430622 0.19232457170648845 NaN 0.191970565575232
119.15539949648868 0.1594960481135592 0.15932976869030482 0.1597178252540152 NaN 0.1594960481135592
EOD
$whole9 << EOD
8 0.3247346889867642 0.32397760103901363 0.3256905396217252 0.3247346889867642 NaN
16 0.25660152646494666 0.25612825833580993 0.2570447482656608 0.25660152646494666 NaN
32 0.20536321941272045 0.205178043942859 0.2055033936484119 0.20536321941272045 NaN
64 0.16329641561040878 0.16271409978281595 0.16365719833239042 0.16329641561040878 NaN
128 0.12066102362780165 0.12030723351544906 0.12090734074598575 NaN 0.12066102362780165
EOD
$whole10 << EOD
8 0.8937972352960153 0.8933045307352586 0.8946843059015624 0.8937972352960153 NaN
16 0.8211095741887116 0.820518993313325 0.8222050600830759 0.8211095741887116 NaN
32 0.7182071228611464 0.7175164601651315 0.7195701256488567 0.7182071228611464 NaN
64 0.5837448005260568 0.583080787314505 0.5850500613019247 0.5837448005260568 NaN
128 0.42718747710974225 0.42656798129996376 0.42840369208530654 0.42718747710974225 NaN
EOD
set title 'SmolLM2-135M-Instruct, Q4_1 dequantised, block 22' noenhanced
set xlabel 'L0 (mean number of active latents)'
set ylabel 'normalised MSE (1 = predicting the mean)'
set logscale xy
set grid
set key outside right top
set xrange [5.49443:451.172]
set yrange [0.0427973:1.07852]
set xtics (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
set ytics (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 2, 5, 10, 20, 50, 100)
set terminal svg size 800,560 background rgb 'white' font 'DejaVu Sans,12'
set output 'mse_versus_l0.svg'
plot $whole0 using 1:2 with lines lw 2 lc rgb '#0060ad' title 'batch-topk', \
     $whole0 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#0060ad' notitle, \
     $whole0 using 1:5 with points pt 7 ps 0.9 lc rgb '#0060ad' notitle, \
     $whole0 using 1:6 with points pt 6 ps 1.1 lc rgb '#0060ad' title 'still moving', \
     $whole1 using 1:2 with lines lw 2 lc rgb '#dd181f' title 'gated', \
     $whole1 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#dd181f' notitle, \
     $whole1 using 1:5 with points pt 7 ps 0.9 lc rgb '#dd181f' notitle, \
     $whole2 using 1:2 with lines lw 2 lc rgb '#2a8a3c' title 'jumprelu', \
     $whole2 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#2a8a3c' notitle, \
     $whole2 using 1:6 with points pt 6 ps 1.1 lc rgb '#2a8a3c' notitle, \
     $whole3 using 1:2 with lines lw 2 lc rgb '#8a4fbf' title 'matryoshka', \
     $whole3 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#8a4fbf' notitle, \
     $whole3 using 1:5 with points pt 7 ps 0.9 lc rgb '#8a4fbf' notitle, \
     $whole4 using 1:2 with lines lw 2 lc rgb '#b07000' title 'multi-topk', \
     $whole4 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#b07000' notitle, \
     $whole4 using 1:5 with points pt 7 ps 0.9 lc rgb '#b07000' notitle, \
     $whole5 using 1:2 with lines lw 1 dt 3 lc rgb '#555555' title 'PCA, L0 components', \
     $whole6 using 1:2 with lines lw 2 lc rgb '#d63384' title 'prolu', \
     $whole6 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#d63384' notitle, \
     $whole6 using 1:5 with points pt 7 ps 0.9 lc rgb '#d63384' notitle, \
     $whole6 using 1:6 with points pt 6 ps 1.1 lc rgb '#d63384' notitle, \
     $whole7 using 1:2 with lines lw 2 lc rgb '#6c757d' title 'prolu-ste', \
     $whole7 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#6c757d' notitle, \
     $whole7 using 1:5 with points pt 7 ps 0.9 lc rgb '#6c757d' notitle, \
     $whole7 using 1:6 with points pt 6 ps 1.1 lc rgb '#6c757d' notitle, \
     $whole8 using 1:2 with lines lw 2 lc rgb '#7a5c3e' title 'relu', \
     $whole8 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#7a5c3e' notitle, \
     $whole8 using 1:5 with points pt 7 ps 0.9 lc rgb '#7a5c3e' notitle, \
     $whole8 using 1:6 with points pt 6 ps 1.1 lc rgb '#7a5c3e' notitle, \
     $whole9 using 1:2 with lines lw 2 lc rgb '#e69f00' title 'topk', \
     $whole9 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#e69f00' notitle, \
     $whole9 using 1:5 with points pt 7 ps 0.9 lc rgb '#e69f00' notitle, \
     $whole9 using 1:6 with points pt 6 ps 1.1 lc rgb '#e69f00' notitle, \
     $whole10 using 1:2 with lines lw 2 lc rgb '#004d40' title 'topk-frozen', \
     $whole10 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#004d40' notitle, \
     $whole10 using 1:5 with points pt 7 ps 0.9 lc rgb '#004d40' notitle
set terminal pngcairo size 1200,840 font 'DejaVu Sans,14'
set output 'mse_versus_l0.png'
plot $whole0 using 1:2 with lines lw 2 lc rgb '#0060ad' title 'batch-topk', \
     $whole0 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#0060ad' notitle, \
     $whole0 using 1:5 with points pt 7 ps 0.9 lc rgb '#0060ad' notitle, \
     $whole0 using 1:6 with points pt 6 ps 1.1 lc rgb '#0060ad' title 'still moving', \
     $whole1 using 1:2 with lines lw 2 lc rgb '#dd181f' title 'gated', \
     $whole1 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#dd181f' notitle, \
     $whole1 using 1:5 with points pt 7 ps 0.9 lc rgb '#dd181f' notitle, \
     $whole2 using 1:2 with lines lw 2 lc rgb '#2a8a3c' title 'jumprelu', \
     $whole2 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#2a8a3c' notitle, \
     $whole2 using 1:6 with points pt 6 ps 1.1 lc rgb '#2a8a3c' notitle, \
     $whole3 using 1:2 with lines lw 2 lc rgb '#8a4fbf' title 'matryoshka', \
     $whole3 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#8a4fbf' notitle, \
     $whole3 using 1:5 with points pt 7 ps 0.9 lc rgb '#8a4fbf' notitle, \
     $whole4 using 1:2 with lines lw 2 lc rgb '#b07000' title 'multi-topk', \
     $whole4 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#b07000' notitle, \
     $whole4 using 1:5 with points pt 7 ps 0.9 lc rgb '#b07000' notitle, \
     $whole5 using 1:2 with lines lw 1 dt 3 lc rgb '#555555' title 'PCA, L0 components', \
     $whole6 using 1:2 with lines lw 2 lc rgb '#d63384' title 'prolu', \
     $whole6 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#d63384' notitle, \
     $whole6 using 1:5 with points pt 7 ps 0.9 lc rgb '#d63384' notitle, \
     $whole6 using 1:6 with points pt 6 ps 1.1 lc rgb '#d63384' notitle, \
     $whole7 using 1:2 with lines lw 2 lc rgb '#6c757d' title 'prolu-ste', \
     $whole7 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#6c757d' notitle, \
     $whole7 using 1:5 with points pt 7 ps 0.9 lc rgb '#6c757d' notitle, \
     $whole7 using 1:6 with points pt 6 ps 1.1 lc rgb '#6c757d' notitle, \
     $whole8 using 1:2 with lines lw 2 lc rgb '#7a5c3e' title 'relu', \
     $whole8 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#7a5c3e' notitle, \
     $whole8 using 1:5 with points pt 7 ps 0.9 lc rgb '#7a5c3e' notitle, \
     $whole8 using 1:6 with points pt 6 ps 1.1 lc rgb '#7a5c3e' notitle, \
     $whole9 using 1:2 with lines lw 2 lc rgb '#e69f00' title 'topk', \
     $whole9 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#e69f00' notitle, \
     $whole9 using 1:5 with points pt 7 ps 0.9 lc rgb '#e69f00' notitle, \
     $whole9 using 1:6 with points pt 6 ps 1.1 lc rgb '#e69f00' notitle, \
     $whole10 using 1:2 with lines lw 2 lc rgb '#004d40' title 'topk-frozen', \
     $whole10 using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder lc rgb '#004d40' notitle, \
     $whole10 using 1:5 with points pt 7 ps 0.9 lc rgb '#004d40' notitle
