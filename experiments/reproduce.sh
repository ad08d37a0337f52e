#!/usr/bin/env bash
# The project's main job, from nothing to a plot: installs what is missing, builds, fetches a language model and text,
# stores the model's activations, trains TopK and ReLU autoencoders at several sparsities, draws normalised MSE over L0,
# measures what their reconstructions cost the model, and writes a report that opens in a browser. Run again, it reuses
# what is there; interrupted, it goes on where it was.
#
#   experiments/reproduce.sh              600,000 training tokens; 20 to 25 minutes on 2 cores
#   experiments/reproduce.sh --quick      a small sweep, a few minutes: does everything work here?
#   experiments/reproduce.sh --full       5 million training tokens, better curves; two to three hours
#
#   --model PATH         a language model of your own: a GGUF file or a Hugging Face folder (default: SmolLM2, fetched)
#   --text FOLDER        text of your own: .txt, .md and .html files (default: prose from Debian packages, fetched)
#   --output FOLDER      where results go (default: runs/quick, runs/default or runs/full)
#   --threads N          processor threads (default: all)
#   --build FOLDER       where to build (default: build)
#   --no-install         name what is missing and build against what is there
set -euo pipefail

root="$(cd "$(dirname "$0")/.." && pwd)"
scale=default model= text= output= build="$root/build" threads=0 install=()
while [ $# -gt 0 ]; do
  case "$1" in
    --quick) scale=quick ;;
    --full) scale=full ;;
    --model | --text | --output | --build | --threads)
      [ $# -ge 2 ] || { echo "reproduce.sh: $1 needs a value (see --help)" >&2; exit 2; }
      declare "${1#--}=$2"; shift ;;
    --no-install) install=(--no-install) ;;
    -h | --help) sed -n '2,17s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "reproduce.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
  esac
  shift
done
output="${output:-$root/runs/$scale}"
own="$model$text"  # empty: the standard model and text, of which the outcome is known

say() { printf '\n== %s\n' "$*" >&2; }

# Where other programs run, a thread that spins while it waits takes the time of the one it waits for.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"

say "1/9 Installing what is missing"
status=0
"$root/third_party/install.sh" "${install[@]}" || status=$?
if [ "$status" -ne 0 ]; then
  [ "$status" -eq 3 ] && [ ${#install[@]} -gt 0 ] || exit "$status"
  echo "Building against what is there." >&2
fi

say "2/9 Building"
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$build" --target experiments

say "3/9 The language model"
if [ -z "$model" ]; then model="$("$root/experiments/fetch.sh" --model)"; fi
[ -e "$model" ] || { echo "reproduce.sh: no model at '$model'" >&2; exit 1; }
"$build/bin/generate" --model "$model" --threads "$threads" --tokens 12 --prompt "The capital of France is"

say "4/9 Text"
if [ -z "$text" ]; then
  corpus="$("$root/experiments/fetch.sh" --text --build "$build")"
else
  corpus="$output/text"
  [ -d "$corpus" ] || "$build/bin/prepare_text" --text "$text" --output "$corpus"
fi

# Tokens of each split; the sweep's size, where --tokens left out means one pass. Rows are stored in float32, where there are millions in bfloat16 (6 GB).
store=()
case "$scale" in
  quick) train=50000 validation=6400 test=12800 replaced=4096 pages=256 explained=(--sample 20 --density-floor 0.006)
    sweep=(--latents 2048 --target-l0 16,32,64 --tokens 100000 --batch-size 256) ;;
  default) train=620000 validation=12800 test=38400 replaced=8192 pages=1000 explained=(--sample 40 --density-floor 0.003)
    sweep=(--latents 4096 --batch-size 512) ;;
  full) store=(--dtype bf16) train=5200000 validation=32000 test=102400 replaced=32768 pages=2000 explained=(--sample 100 --density-floor 0.0015)
    sweep=(--latents 4096 --batch-size 1024) ;;
esac
expected="$root/experiments/compare_activations/expected_$scale.csv"
if [ -f "$expected" ] && [ -z "$own" ]; then sweep+=(--expected "$expected"); fi

harvest() {  # SPLIT TOKENS [FURTHER OPTIONS]
  "$build/bin/harvest" --model "$model" --threads "$threads" --text "$corpus/$1.jsonl" --tokens "$2" \
    --output "$output/activations/$1" --resume "${store[@]}" "${@:3}"
}

say "5/9 Activations"
harvest validation "$validation" --report-loss
harvest test "$test"
if [ "$scale" != quick ] && [ ! -d "$output/activations/train" ]; then
  # A first point of the plot within minutes, from the first part of the training text.
  harvest train 60000
  say "    a first point: TopK, k = 32, on 60,000 tokens"
  "$build/bin/train" --data "$output/activations" --output "$output/first_point" --resume --threads "$threads" \
    --activation topk --k 32 --latents 4096 --batch-size 512 --lr 1.6e-3
fi
harvest train "$train"

say "6/9 Autoencoders"
"$build/bin/compare_activations" --data "$output/activations" --output "$output/sweep" --resume --threads "$threads" \
  "${sweep[@]}"

say "7/9 What reconstructions cost the model"
downstream="$output/downstream" again=--resume
if [ -f "$downstream/sums.json" ] &&
  [ -n "$(find "$output/sweep/runs" -name autoencoder.safetensors -newer "$downstream/sums.json" -print -quit)" ]; then
  again=--overwrite  # it was of other autoencoders
fi
"$build/bin/downstream" "$output/sweep" --model "$model" --threads "$threads" --text "$corpus/test.jsonl" \
  --tokens "$replaced" --output "$downstream" "$again"

say "8/9 Explanations of some latents"
# of TopK at the middle sparsity; a text of one's own may be too short for them, and the report does without
run="$(awk -F, 'NR == 1 { for (i = 1; i <= NF; ++i) column[$i] = i; next }
  $column["activation"] == "topk" && $column["target_l0"] == 32 && $column["part"] == 1 { print $column["run"]; exit }' \
  "$output/sweep/results.csv")"
name="$(basename "$run")"
"$build/bin/explain" --sae "$output/sweep/$run/autoencoder.safetensors" --model "$model" --threads "$threads" --resume \
  --data "$output/activations" --output "$output/explanations/$name" --no-graphs "${explained[@]}" ||
  say "    no explanations of $name"

say "9/9 The report"
"$build/bin/report" "$output/sweep" --model "$model" --threads "$threads" --data "$output/activations" \
  --downstream "$downstream" --explanations "$output/explanations" --latents "$pages" --output "$output/report" --overwrite
