//! One study on two virtual nodes of Slurm, on this machine. There is no test harness, so that a machine without Slurm shows the
//! test as skipped, not as passed.
#![expect(clippy::print_stdout, reason = "a test without a harness says how it ended")]

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::{small_config, trainings, without_times};

const NAME: &str = "a_study_on_slurm_survives_its_nodes";

fn main() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if filter.is_some_and(|filter| !NAME.contains(&filter)) {
        return;
    }
    let has = |program: &str| Command::new(program).arg("-V").output().is_ok();
    if !["slurmctld", "slurmd", "sbatch"].into_iter().all(has) {
        println!("{NAME}: Slurm is not here (Debian: apt-get install slurmctld slurmd slurm-client)");
        println!("0 passed, 0 failed, 1 skipped");
        return;
    }
    let Some(lab) = Lab::start() else {
        println!("{NAME}: Slurm is here, but its daemons do not start as this user");
        println!("0 passed, 0 failed, 1 skipped");
        return;
    };
    a_study_on_slurm_survives_its_nodes(&lab);
    println!("1 passed, 0 failed, 0 skipped");
}

/// Two nodes of Slurm on loopback, without systemd, munge or cgroups; they end with it.
struct Lab {
    folder: tempfile::TempDir,
    controller: Child,
    nodes: [Child; 2],
}

impl Lab {
    const PORT: u16 = 17_100;

    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        for name in ["state", "spool"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let user = said("id", &["-un"]);
        let host = said("hostname", &["-s"]);
        let (port, first, last) = (Self::PORT, Self::PORT + 11, Self::PORT + 12);
        // A task whose node dies is queued again once the credential of its job has expired.
        let text = format!(
            "ClusterName=lab\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={port}\nSlurmUser={user}\nSlurmdUser={user}\n\
             AuthType=auth/none\nCredType=cred/none\nAuthInfo=cred_expire=10\nMpiDefault=none\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/none\n\
             AccountingStorageType=accounting_storage/none\nSelectType=select/cons_tres\nSelectTypeParameters=CR_Core\n\
             SchedulerType=sched/backfill\nSchedulerParameters=sched_interval=2,bf_interval=2\nReturnToService=2\n\
             SlurmctldTimeout=10\nSlurmdTimeout=10\nKillWait=5\nJobRequeue=1\nPreemptType=preempt/partition_prio\n\
             PreemptMode=REQUEUE\nStateSaveLocation={at}/state\nSlurmdSpoolDir={at}/spool/%n\n\
             SlurmctldPidFile={at}/slurmctld.pid\nSlurmdPidFile={at}/slurmd-%n.pid\nSlurmctldLogFile={at}/slurmctld.log\n\
             SlurmdLogFile={at}/slurmd-%n.log\n\
             NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=2 State=UNKNOWN\n\
             PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=3\n\
             PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10\n"
        );
        fs::write(folder.path().join("slurm.conf"), text).unwrap();
        let conf = folder.path().join("slurm.conf");
        let daemon = |program: &str, arguments: &[&str]| {
            Command::new(program)
                .args(arguments)
                .env("SLURM_CONF", &conf)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let controller = daemon("slurmctld", &["-D", "-i"]);
        let nodes = ["n1", "n2"].map(|node| daemon("slurmd", &["-D", "-N", node]));
        let lab = Self { folder, controller, nodes };
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            let idle = lab.slurm("sinfo", &["-h", "-N", "-p", "main", "-t", "idle", "-o", "%N"]);
            if idle.lines().count() == 2 {
                return Some(lab);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        None
    }

    fn conf(&self) -> PathBuf {
        self.folder.path().join("slurm.conf")
    }

    /// Runs a program of Slurm.
    fn slurm(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).env("SLURM_CONF", self.conf()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A command of ours, which sees the nodes.
    fn deepaug(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deepaug"));
        command.args(arguments).env("SLURM_CONF", self.conf()).current_dir(folder).stdin(Stdio::null());
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.slurm("scancel", &["--me"]);
        std::thread::sleep(Duration::from_millis(500));
        let nodes = self.nodes.iter_mut();
        for daemon in nodes.chain([&mut self.controller]) {
            let _ = Command::new("kill").arg(daemon.id().to_string()).status();
        }
        let nodes = self.nodes.iter_mut();
        for daemon in nodes.chain([&mut self.controller]) {
            let begun = Instant::now();
            while matches!(daemon.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(10) {
                std::thread::sleep(Duration::from_millis(50));
            }
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

/// Waits for something to be so.
fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(180), "waited three minutes: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The agents that have said hello: their names, nodes and processes.
fn agents(study: &Path) -> Vec<(String, String, String)> {
    let Ok(inside) = fs::read_dir(study.join("cluster/agents")) else { return Vec::new() };
    let of = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let hello: serde_json::Value = serde_json::from_slice(&fs::read(entry.path().join("hello.json")).ok()?).ok()?;
        let name = entry.file_name().to_string_lossy().into_owned();
        Some((name, hello["node"].as_str()?.to_string(), hello["process"].to_string()))
    };
    inside.filter_map(of).collect()
}

fn a_study_on_slurm_survives_its_nodes(lab: &Lab) {
    let folder = tempfile::tempdir().unwrap();
    let program = "read request; sleep 2; \
                   share=$(echo \"$request\" | sed 's/.*\"policy\":\\(.*\\),\"seed.*/\\1/' | cksum | cut -c4-6); \
                   for epoch in 1 2; do \
                   echo \"{\\\"epoch\\\": $epoch, \\\"acc\\\": 0.5, \\\"loss\\\": 1, \\\"val_acc\\\": 0.$share, \\\"val_loss\\\": 1}\"; done";
    fs::write(folder.path().join("train.sh"), program).unwrap();
    let extra = "iters = 24\nworkers = 6\nthreads = 6\ncluster.agents = 4\ncluster.cpus = 1\ncluster.silence = 20\n\
                 [child]\ncommand = [\"sh\", \"train.sh\"]";
    let config = small_config(folder.path(), extra);
    let run = |arguments: &[&str]| {
        let output = lab.deepaug(folder.path(), arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(&["optimize", "--config", &config, "--out", "local"]);
    assert_eq!(code, Some(0), "{said}");

    // What Slurm refuses is said.
    let (code, said) =
        run(&["optimize", "--config", &config, "--set", "cluster.partition=fast", "--out", "none", "--on", "slurm"]);
    assert_eq!(code, Some(9), "{said}");
    assert!(said.contains("cluster.partition = \"fast\"") && said.contains("main, urgent"), "{said}");
    let (code, said) = run(&["cluster", "plan", "--config", &config, "--trial-seconds", "2"]);
    assert_eq!(code, Some(0), "{said}");

    let study = folder.path().join("study");
    let journal = study.join("journal.jsonl");
    let start = |arguments: &[&str]| {
        lab.deepaug(folder.path(), arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut search = start(&["optimize", "--config", &config, "--out", "study", "--on", "slurm", "--in-order"]);
    wait("four agents", || agents(&study).len() == 4);
    wait("a training", || trainings(&journal) >= 1);
    let by_node = |node: &str| agents(&study).into_iter().filter(|(_, own, _)| own == node).collect::<Vec<_>>();
    assert_eq!((by_node("n1").len(), by_node("n2").len()), (2, 2));

    // A node dies: Slurm's daemon on it, and everything that it started.
    let daemon = lab.nodes[1].id().to_string();
    let mut dead = vec![daemon];
    for (_, _, process) in by_node("n2") {
        dead.push(said_parent(&process));
        dead.push(process);
    }
    Command::new("kill").arg("-KILL").args(&dead).status().unwrap();
    let before = trainings(&journal);
    wait("others go on", || trainings(&journal) > before);
    // The process that runs the study is killed, twice.
    for _ in 0..2 {
        search.kill().unwrap();
        search.wait().unwrap();
        let before = trainings(&journal);
        search = start(&["optimize", "--resume", "study", "--on", "slurm"]);
        wait("it goes on", || trainings(&journal) > before);
    }
    // One agent is killed, and all of its machine have to make room for a job that is more urgent.
    let (_, _, process) = by_node("n1").remove(0);
    Command::new("kill").args(["-KILL", &process]).status().unwrap();
    let urgent = lab.slurm(
        "sbatch",
        &["--parsable", "-p", "urgent", "-w", "n1", "-n", "2", "-o", "/dev/null", "--wrap", "sleep 3"],
    );
    assert!(!urgent.trim().is_empty());
    let ended = search.wait().unwrap();
    assert!(ended.success(), "{ended}");
    assert!(agents(&study).len() > 4, "others took the place of those that died: {:?}", agents(&study));
    let said = |(name, ..): &(String, String, String)| {
        fs::read_to_string(study.join("cluster/agents").join(name).join("out.jsonl")).unwrap_or_default()
    };
    assert!(agents(&study).iter().any(|agent| said(agent).contains("it was asked to end")), "none was preempted");
    let notebook = |out: &str| without_times(&folder.path().join(out).join("notebook.csv"));
    assert_eq!(notebook("study"), notebook("local"));
    wait("nothing is left in the queue", || {
        let left = lab.slurm("squeue", &["-h", "-o", "%i"]);
        left.lines().all(|job| job.trim() == urgent.trim()) || left.trim().is_empty()
    });
}

/// Returns the parent of a process.
fn said_parent(process: &str) -> String {
    said("ps", &["-o", "ppid=", "-p", process])
}
