# A search without a configuration on each data set, and its answer beside what needs no search, on test images.
#     sh reports/seven-sets/run.sh FOLDER DATA...
# FOLDER gets a study for each of DATA. About 30 minutes a set on two cores; what is there already is not done again.
set -e
here=$(dirname "$0")
folder=$1
shift
baselines=none,flip-crop,cutout,randaugment-1-5,randaugment-2-9,randaugment-2-15,trivialaugment
for data; do
  study=$folder/$(basename "$data")
  if [ ! -f "$study/result.json" ]; then
    rm -rf "$study"
    deepaug optimize --data "$data" --seed 1 --out "$study"
  fi
  for finish in none full; do
    deepaug compare "$study" --config "$here/final.toml" --train-size 1000 --test-size 1000 --seeds 10 --top 1 \
      --finish $finish --name $finish --baselines $baselines
  done
done
