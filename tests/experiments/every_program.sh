#!/usr/bin/env bash
# Runs every program that reads a language model, one after the other, on one model: what works on one works on all.
#
#   tests/experiments/every_program.sh BIN MODEL [on|off] [DEVICE]
#
# BIN is the folder of the programs, MODEL one of tests/golden/models. With `on`, contexts are harvested behind a
# beginning-of-text token; the other programs must find that out from the autoencoder. DEVICE is where they run (default:
# cpu); on simt the host must leave the device's memory alone (engine/simt/memory_guard.h).
#
# Exit codes: 0 all ran, and said what they should; 1 one did not, and which; 2 wrong usage.
set -euo pipefail
if [ $# -lt 2 ]; then sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; fi
golden="$(cd "$(dirname "$0")/../golden" && pwd)"
bin="$1" model="$2" beginning="${3:-off}" device="${4:-cpu}"
export SAE_SIMT_GUARD=1
slower=$([ "$device" = simt ] && echo 8 || echo 1)
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

run() {  # PROGRAM OPTIONS: keeps what it prints
  local program="$1" where=(--device "$device"); shift
  case "$program" in tokenize | inspect | convert) where=() ;; esac
  "$bin/$program" "$@" "${where[@]}" >"$work/out" 2>"$work/err" || { echo "every_program.sh: $program failed:" >&2; cat "$work/err" >&2; exit 1; }
}
expect() {  # TEXT FILE
  grep -qF -- "$1" "$2" || { echo "every_program.sh: '$1' is not in $(basename "$2"):" >&2; cat "$2" >&2; exit 1; }
}
refuse() {  # TEXT PROGRAM OPTIONS: fails, saying TEXT
  local text="$1" program="$2"; shift 2
  if "$bin/$program" "$@" >"$work/out" 2>"$work/err"; then echo "every_program.sh: $program $* did not fail" >&2; exit 1; fi
  expect "$text" "$work/err"
}
if [ "$beginning" = on ]; then
  cp -r "$model" "$work/model"
  model="$work/model"
  echo '{"bos_token": "<|endoftext|>"}' >"$model/tokenizer_config.json"
fi
lm=(--model "$model" --threads 2)

# words that the vocabularies of these models spell without loss
words=(the and in an her tin ten men art hat tea wind under other hand mind)
for split in train validation test; do
  RANDOM=${#split}
  for ((i = 0; i < 1500; ++i)); do printf '%s ' "${words[RANDOM % ${#words[@]}]}"; done >"$work/$split.txt"
done

run tokenize "${lm[@]}" --bos off --text "the end, and then."
expect '"pieces":["the"' "$work/out"
ids="$(sed -n 's/.*"ids": *\[\([0-9, ]*\)\].*/\1/p' "$work/out" | tr -d ' ')"
run tokenize "${lm[@]}" --decode "$ids"
expect "the end, and then." "$work/out"
run generate "${lm[@]}" --tokens 3 --prompt "the" --ignore-end

for site in resid_post mlp_hidden; do
  data="$work/$site" sae="$work/$site.run/autoencoder.safetensors"
  for split in train validation test; do
    run harvest "${lm[@]}" --text "$work/$split.txt" --context 16 --tokens $((slower > 1 ? 1024 : 3200)) --site "$site" --layer 1 --bos "$beginning" \
      --output "$data/$split" --report-loss
    expect "mean next-token loss" "$work/out"
  done
  run inspect "$data/test"
  expect "block 1, $site" "$work/out"
  run train --data "$data" --output "$work/$site.run" --latents 64 --k 4 --batch-size 64 --tokens $((6400 / slower)) --lr 3e-3 --threads 2
  run evaluate --sae "$sae" --data "$data" --threads 2
  expect '"normalised_mse"' "$work/out"
  grep -aqF "\"beginning\":\"$beginning\"" "$sae" || { echo "every_program.sh: the autoencoder does not say 'beginning: $beginning'" >&2; exit 1; }
  run encode "${lm[@]}" --sae "$sae" --prompt "the end" --output "$work/$site.latents.safetensors"
  if [ "$beginning" = on ]; then expect '0* "<|endoftext|>"' "$work/out"; fi
  run downstream "${lm[@]}" --text "$work/test.txt" --tokens $((slower > 1 ? 64 : 320)) --output "$work/$site.downstream" "$sae"
  run generate "${lm[@]}" --tokens 3 --prompt "the" --ignore-end --sae "$sae" --clamp 1=0.5
  run explain "${lm[@]}" --sae "$sae" --data "$data" --output "$work/$site.explained" --sample 2 --density-floor $([ "$slower" -gt 1 ] && echo 0.04 || echo 0.02) --pad a --no-graphs
  expect "2 latents" "$work/out"
  run downstream "${lm[@]}" --text "$work/test.txt" --tokens $((slower > 1 ? 64 : 320)) --output "$work/$site.simulated" "$sae" \
    --explanations "$work/$site.explained" --calibrate "$work/validation.txt" --bigram-text "$work/train.txt"
  expect "$site.run simulated: 2 of 64 latents have an explanation" "$work/out"
  run report "${lm[@]}" "$work/$site.run" --data "$data" --latents 4 --explanations "$work/$site.explained" \
    --downstream "$work/$site.downstream" --output "$work/$site.report"
  for format in saelens sparsify dictionary-learning; do
    run convert --sae "$sae" --format "$format" --output "$work/$site.$format"
    run convert --sae "$work/$site.$format" --format sae.cpp --output "$work/$site.$format.safetensors"
    run evaluate --sae "$work/$site.$format.safetensors" --data "$data" --threads 2
    run downstream "${lm[@]}" --text "$work/test.txt" --tokens 64 --output "$work/$site.$format.downstream" "$work/$site.$format.safetensors"
  done
  run convert --sae "$sae" --format openai --output "$work/$site.pt"
done

# What reads activations alone, once.
analysed=(--data "$data" --threads 2)
small=("${analysed[@]}" --latents 16 --batch-size 64 --tokens 640 --lr 3e-3)
run train "${small[@]}" --activation relu --l1 0.05 --output "$work/relu.run"
run evaluate --sae "$work/relu.run/autoencoder.safetensors" "${analysed[@]}"
expect '"penalty": 0.05' "$work/out"
refuse "give one of them" train "${small[@]}" --activation relu --l1 0.05 --penalty 0.05 --output "$work/none"
refuse "jumprelu has no L1 penalty; use --penalty" train "${small[@]}" --activation jumprelu --l1 1 --output "$work/none"
refuse "topk has no L1 penalty; use --k" train "${small[@]}" --l1 1 --output "$work/none"
run progressive_code "$sae" "${analysed[@]}" --l0 2,4,8 --output "$work/progressive"
expect "mlp_hidden.run,topk,64,4,0,topk,8," "$work/progressive/progressive.csv"
refuse "is not empty" progressive_code "$sae" "${analysed[@]}" --l0 2 --output "$work/progressive"
refuse "65 cannot be active" progressive_code "$sae" "${analysed[@]}" --l0 2,65 --output "$work/none"
refuse "--l0: expected numbers of active latents from 1" progressive_code "$sae" "${analysed[@]}" --l0 0,4 --output "$work/none"
refuse "name autoencoders" progressive_code "${analysed[@]}" --output "$work/none"
run refine_activations "$sae" "${analysed[@]}" --rows 300 --output "$work/refined"
expect "mlp_hidden.run,topk,64,4,0,300," "$work/refined/refined.csv"
run ablate_recipe "${analysed[@]}" --output "$work/ablation" --latents 64 --k 4 --batch-size 64 --tokens $((3200 / slower)) --lr 3e-3
expect "free-decoder-norm," "$work/ablation/ablation.csv"
refuse "AuxK is a part of the recipe" ablate_recipe "${analysed[@]}" --output "$work/none" --latents 64 --k 4 --k-aux 0

# And photographs in place of activations.
patches=(image_patches --images "$golden/photographs" --output "$work/patches" --patch 6 --patches 500 --latents 16 --k 3
  --batch-size 50 --quick --tokens 2000 --threads 2)
run "${patches[@]}"
expect "topk,16,3,0,0,0,0.001,2000," "$work/patches/patches.csv"
run "${patches[@]}" --resume
refuse "is not empty" "${patches[@]}"
run train --data "$work/patches/patches" --output "$work/patches.run" --latents 16 --k 3 --batch-size 50 --threads 2
refuse "holds no photographs" image_patches --images "$golden/models" --output "$work/none"
refuse "--patch" image_patches --images "$golden/photographs" --output "$work/none" --patch 2
echo "every program ran on $2"
