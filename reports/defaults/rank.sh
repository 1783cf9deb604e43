# 20 policies on each data set: the search, then the test accuracy of every one of them. Two hours on two cores.
#     sh reports/defaults/rank.sh FOLDER DATA...
# FOLDER gets a study for each of DATA, which rank.py reads.
set -e
folder=$1
shift
for data; do
  study=$folder/$(basename "$data")
  [ -f "$study/compare-rank.json" ] && continue
  rm -rf "$study"
  deepaug optimize --config "$(dirname "$0")/rank.toml" --data "$data" --out "$study"
  deepaug compare "$study" --rank-check 10 --seeds 3 --test-size 1000 --baselines none --name rank
done
