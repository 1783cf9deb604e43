//! Keeps a study open for programs that ask and tell often: requests and answers as lines of JSON.

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::error::Error;
use crate::study::ask_tell::{AskTell, Observation};
use crate::study::journal::ReportedOutcome;

/// Maximum number of trials per request.
const MAX_ASKED: usize = 10_000;

/// Answers requests, each a JSON object on its own line with one of these keys, and optionally `id`, whose value
/// the answer repeats:
///
/// | request | answer |
/// | --- | --- |
/// | `{"ask": 2}` | `{"trials": [{"trial": 7, "policy": …}, …]}` |
/// | `{"tell": {"trial": 7, "reward": 0.61}}` | `{"told": 7}`, once it is on disk |
/// | `{"tell": {"trial": 8, "sample": 0, "failed": "out of memory"}}` | `{"told": 8}` |
/// | `{"pending": true}` | `{"trials": […]}`, those that were asked for and not told |
/// | `{"result": true}` | `{"result": …}` as in `result.json`, `null` before there is one |
///
/// A request that fails is answered by `{"error": {"code": …, "message": …}}`, with the exit code of the
/// corresponding command.
///
/// ```
/// use deepaug::{AskTell, Config, Server};
///
/// # fn main() -> Result<(), deepaug::Error> {
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// # let folder = folder.path().join("study");
/// AskTell::create(Config::default(), &folder)?;
/// let mut server = Server::open(&folder)?;
/// let answers = server.answer(&[r#"{"id": 1, "ask": 1}"#.into(), r#"{"tell": {"trial": 0, "reward": 0.5}}"#.into()]);
/// assert!(answers[0].starts_with(r#"{"id":1,"trials":[{"#) && answers[0].ends_with(r#""trial":0}]}"#), "{}", answers[0]);
/// assert_eq!(answers[1], r#"{"told":0}"#);
/// # Ok(())
/// # }
/// ```
pub struct Server {
    study: AskTell,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    Ask(usize),
    Tell(Tell),
    Pending(IgnoredAny),
    Result(IgnoredAny),
}

/// A result of a trial, as a line of JSON.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tell {
    /// The trial's number.
    pub trial: u64,
    /// Which of its trainings; all of them unless given.
    pub sample: Option<usize>,
    /// Its reward.
    pub reward: Option<f64>,
    /// Why it failed.
    pub failed: Option<String>,
}

impl Tell {
    /// Returns the result for [`AskTell::tell_several`].
    ///
    /// # Errors
    /// If it has neither a reward nor a reason, or both.
    pub fn observation(self) -> Result<Observation, String> {
        let Self { trial, sample, reward, failed } = self;
        let observation = |outcome| Observation { trial, sample, outcome };
        match (reward, failed) {
            (Some(reward), None) => Ok(observation(ReportedOutcome::Reward(reward))),
            (None, Some(why)) => Ok(observation(ReportedOutcome::Failed(why))),
            _ => Err(format!("trial {trial} needs either \"reward\" or \"failed\"")),
        }
    }
}

/// A parsed line, before it is answered.
enum Read {
    Request(Request),
    Wrong(String),
}

impl Server {
    /// Opens a study for as long as the server lives.
    ///
    /// # Errors
    /// As [`AskTell::open`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        Ok(Self { study: AskTell::open_to_serve(folder)? })
    }

    /// Answers each line, in order. Consecutive tells reach the disk together.
    pub fn answer(&mut self, lines: &[String]) -> Vec<String> {
        let mut answers: Vec<Value> = Vec::with_capacity(lines.len());
        let mut told = Vec::new();
        let mut ids = Vec::with_capacity(lines.len());
        for line in lines {
            let (id, read) = read(line);
            ids.push(id);
            if let Read::Request(Request::Tell(tell)) = read {
                match tell.observation() {
                    Ok(observation) => {
                        told.push((answers.len(), observation));
                        answers.push(Value::Null);
                    }
                    Err(why) => answers.push(wrong(&why)),
                }
                continue;
            }
            self.tell(std::mem::take(&mut told), &mut answers);
            answers.push(match read {
                Read::Wrong(why) => wrong(&why),
                Read::Request(request) => self.one(request),
            });
        }
        self.tell(told, &mut answers);
        let with_id = |(answer, id): (Value, Option<Value>)| match (answer, id) {
            (Value::Object(answer), Some(id)) => {
                let mut object = serde_json::Map::from_iter([("id".to_owned(), id)]);
                object.extend(answer);
                Value::Object(object).to_string()
            }
            (answer, _) => answer.to_string(),
        };
        answers.into_iter().zip(ids).map(with_id).collect()
    }

    fn tell(&mut self, told: Vec<(usize, Observation)>, answers: &mut [Value]) {
        let (places, observations): (Vec<usize>, Vec<Observation>) = told.into_iter().unzip();
        let trials: Vec<u64> = observations.iter().map(|observation| observation.trial).collect();
        for ((place, trial), taken) in places.into_iter().zip(trials).zip(self.study.tell_several(observations)) {
            answers[place] = taken.map_or_else(|error| failed(&error), |()| json!({ "told": trial }));
        }
    }

    fn one(&mut self, request: Request) -> Value {
        let answer = match request {
            Request::Ask(count) if !(1..=MAX_ASKED).contains(&count) => {
                return wrong(&format!("\"ask\" must be a number from 1 to {MAX_ASKED}, not {count}"));
            }
            Request::Ask(count) => self.study.ask(count).map(|trials| json!({ "trials": trials })),
            Request::Pending(_) => Ok(json!({ "trials": self.study.pending() })),
            Request::Result(_) => self.study.result().map(|result| json!({ "result": result })),
            Request::Tell(_) => Ok(Value::Null),
        };
        answer.unwrap_or_else(|error| failed(&error))
    }
}

fn read(line: &str) -> (Option<Value>, Read) {
    let mut object = match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return (None, Read::Wrong("a request is a JSON object, such as {\"ask\": 1}".into())),
        Err(error) => return (None, Read::Wrong(format!("not JSON: {error}"))),
    };
    let id = object.remove("id");
    let request = serde_json::from_value(Value::Object(object));
    (id, request.map_or_else(|error| Read::Wrong(format!("not a request: {error}")), Read::Request))
}

fn wrong(why: &str) -> Value {
    json!({ "error": { "code": 2, "message": why } })
}

fn failed(error: &Error) -> Value {
    json!({ "error": { "code": error.code(), "message": error.to_string(), "path": error.path() } })
}
