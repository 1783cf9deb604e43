# Trainings an hour by 1 and by 8 agents, with trainings that sleep: what waiting for one another costs.
#     sh reports/cluster/speedup.sh FOLDER
set -e
mkdir -p "$1"
cd "$1"
cat > train.sh <<'PROGRAM'
read request
sleep 10
share=$(echo "$request" | cksum | cut -c4-6)
for epoch in 1 2; do
  echo "{\"epoch\": $epoch, \"acc\": 0.5, \"loss\": 1, \"val_acc\": 0.$share, \"val_loss\": 1}"
done
PROGRAM
for agents in 1 8; do
  cat > sleep.toml <<KEYS
train_set_size = 60
validation_set_size = 30
child_epochs = 2
opt_samples = 1
confirm_policies = 0
iters = $((agents * 12))
workers = 1
cluster.slots = 1
child.command = ["sh", "train.sh"]
KEYS
  deepaug optimize --config sleep.toml --out "agents-$agents" --on processes --agents "$agents" > /dev/null 2>&1
  # From the first training that ended to the last.
  grep -h "trial .*: reward" "agents-$agents/deepaug.log" | cut -c1-23 | sed -n '1p;$p' > times
  first=$(date -d "$(sed -n 1p times)" +%s.%N)
  last=$(date -d "$(sed -n 2p times)" +%s.%N)
  count=$(grep -c "trial .*: reward" "agents-$agents/deepaug.log")
  echo "$agents agents: $(echo "($count - $agents) * 3600 / ($last - $first)" | bc -l | cut -d. -f1) trainings an hour"
done
