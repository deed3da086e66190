#!/usr/bin/env bash
# Measures on the test prompts what experiment.py trained, and prints the tables of docs/fronts.md.
#
#   bash compare.sh EXP OUT [SEED…]          default: 1 2 3
#
# Broken off, it goes on where it was. The oracle, logits and the like are measured with the first seed only.
set -euo pipefail
exp=$1 out=$2
shift 2
[ $# -gt 0 ] || set -- 1 2 3

# measure SEED STRENGTHS METHOD…
measure() {
  local seed=$1 strengths=$2 against=()
  shift 2
  for method; do against+=(--against "$method"); done
  python -m bonesoup eval "$exp/seed-$seed/bone-0.7" --project "$exp/story" --out "$out/seed-$seed" \
    --preferences simplex:5 --strengths "$strengths" --also talkative,plain,varied --threads 1 --no-report \
    "${against[@]}" >/dev/null
}

# table METHODS SEED…
table() {
  local methods=$1 folders=()
  shift
  for seed; do folders+=("$out/seed-$seed"); done
  python -m bonesoup.eval.seeds "${folders[@]}" --methods "$methods" --beta-kl 0.1 --preferences simplex:5 "${further[@]}"
}

for seed; do
  measure "$seed" 1,1.25 "soup:$exp/seed-$seed/added-0.7"
  measure "$seed" .75,1 merge:ties,density=.5 merge:dare_ties,density=.5
  oracle=()
  [ "$seed" != "$1" ] || oracle=("morlhf:$exp/seed-$seed/morlhf-*")
  measure "$seed" .5,1,1.25,1.5,2 "rewarded-soup:$exp/seed-$seed/rs" best-of:4 "${oracle[@]}"
done
measure "$1" .5,1,1.25,1.5,2 "soup:$exp/seed-$1/bone-0.8" uniform prompting
measure "$1" 1,1.5 "logits:$exp/seed-$1/rs"

printf '## Over training seeds\n\n'
further=(--oracle morlhf)
table soup,rewarded-soup,rewarded-soup×1.25,best-of-n "$@"
further=()
printf '\n## More methods, on the first seed\n\n'
table soup,bone-0.8,logits,uniform,prompting "$1"
printf '\n## Merged otherwise\n\n'
table soup,merge-ties-density=.5,merge-dare_ties-density=.5 "$@"
printf '\n## A third objective, added\n\n'
table added-0.7,soup "$@"
