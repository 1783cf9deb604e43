//! What a search has learnt, for people to read: which parameters matter, and which of their values are good.

use std::fmt;

use ndarray::Array1;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{
    error::SearchError,
    history::History,
    model::Model,
    point::{Point, Value},
    rng::{Purpose, draw, stream},
    settings::Settings,
    space::{Columns, Domain, Space},
};

/// Number of random points over which the rest is averaged.
const BACKGROUND: usize = 200;
/// Number of values on a number's curve.
const STEPS: usize = 11;

/// Main effects under the model fitted to a search's trials, most important first: the first order of a functional
/// analysis of variance (F. Hutter, H. Hoos, K. Leyton-Brown, An efficient approach for assessing hyperparameter
/// importance, ICML 2014), over uniformly random points.
///
/// Parameters that share a list of choices, such as several places for an op, form one effect: that of having the
/// choice in one of the places.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Number of trials with a cost, on which the explanation is based.
    pub trials: usize,
    /// The mean cost predicted over the space, in the unit of the costs.
    pub mean: f64,
    /// The effects, most important first.
    pub effects: Vec<Effect>,
}

/// The effect of one parameter, or of several similar ones, on the cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// The parameters; several if they are alike.
    pub parameters: Vec<String>,
    /// The choice that the number belongs to, if it is a number of parameters that are alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The share of the variance of the predicted cost over the space that this explains on its own, in [0, 1].
    pub importance: f64,
    /// The curve: choices in declaration order, numbers ascending.
    pub levels: Vec<Level>,
}

/// One value and the cost predicted with it, everything else being random.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// The value.
    pub value: LevelValue,
    /// The mean cost, in the unit of the costs.
    pub mean: f64,
    /// The standard deviation of that mean according to the model: how unsure it is.
    pub deviation: f64,
}

/// A value on a curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LevelValue {
    /// A number, in the parameter's own unit.
    Number(f64),
    /// A choice, by its name.
    Choice(String),
}

impl Explanation {
    /// Explains the trials of a space with a model with these settings. Returns `None` if no trial has a cost, or
    /// all costs are equal.
    ///
    /// # Errors
    /// If the model cannot be fitted.
    ///
    /// ```
    /// use deepaug_controller::{Explanation, History, Outcome, Point, Settings, Space, Value};
    ///
    /// let space = Space::new().real("heat", 0.0, 1.0)?.real("colour of the pot", 0.0, 1.0)?;
    /// let mut history = History::default();
    /// for trial in 0..40 {
    ///     let (heat, colour) = (trial as f64 / 39.0, (trial * 7 % 40) as f64 / 39.0);
    ///     history.register(&space, trial, Point(vec![Value::Real(heat), Value::Real(colour)]))?;
    ///     history.tell(trial, Outcome::Cost((heat - 0.7).powi(2)))?;
    /// }
    /// let explanation = Explanation::of(&space, &history, &Settings::default(), 0)?.expect("forty trials differ");
    /// assert_eq!(explanation.effects[0].parameters, ["heat"]);
    /// assert!(explanation.effects[0].importance > 0.8);
    /// # Ok::<(), deepaug_controller::SearchError>(())
    /// ```
    pub fn of(space: &Space, history: &History, settings: &Settings, seed: u64) -> Result<Option<Self>, SearchError> {
        let settings = settings.clone().check()?;
        let (points, costs): (Vec<&Point>, Vec<f64>) = history.costs().map(|(_, point, cost)| (point, cost)).unzip();
        let costs = Array1::from(costs);
        let Some(shift) = costs.mean() else { return Ok(None) };
        let scale = costs.std(0.0);
        if scale.is_nan() || scale <= 0.0 || scale.is_infinite() || space.parameters().is_empty() {
            return Ok(None);
        }
        let targets = costs.mapv(|cost| (cost - shift) / scale).to_vec();
        let of_model = draw(seed, Purpose::Explanation, 0);
        let model = Model::fit(space, &settings, &points, &targets, of_model)?;
        let mut rng = stream(seed, Purpose::Explanation, 1);
        let background: Vec<Point> = (0..BACKGROUND).map(|_| space.sample(&mut rng)).collect();
        let means = model.predict(&background.iter().collect::<Vec<_>>()).0;
        let curves = Curves { space, model, background, variance: means.var(0.0), shift, scale };
        let mut effects = curves.effects(&mut rng);
        effects.sort_by(|a, b| b.importance.total_cmp(&a.importance));
        let mean = shift + scale * means.mean().unwrap_or_default();
        Ok(Some(Self { trials: points.len(), mean, effects }))
    }
}

/// Computes the curves.
struct Curves<'a> {
    space: &'a Space,
    model: Model<'a>,
    background: Vec<Point>,
    /// Variance of the predictions over the background.
    variance: f64,
    shift: f64,
    scale: f64,
}

impl Curves<'_> {
    fn effects(&self, rng: &mut ChaCha8Rng) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut pooled = Vec::new();
        for pool in Columns::new(self.space).pools() {
            effects.push(self.effect(&pool.members, None, rng));
            pooled.extend(&pool.members);
            for place in 0..pool.numbers[0].len() {
                let numbers: Vec<usize> = pool.numbers.iter().map(|numbers| numbers[place]).collect();
                let condition = self.space.parameters()[numbers[0]].condition.as_ref();
                for &choice in condition.iter().flat_map(|condition| &condition.choices) {
                    effects.push(self.effect(&numbers, Some(choice), rng));
                }
                pooled.extend(numbers);
            }
        }
        let alone = (0..self.space.parameters().len()).filter(|index| !pooled.contains(index));
        effects.extend(alone.map(|index| self.effect(&[index], None, rng)).collect::<Vec<_>>());
        effects
    }

    /// Computes the curve of parameters that are alike, one of which is set at each point; `of` is the choice of
    /// their parent.
    fn effect(&self, alike: &[usize], of: Option<usize>, rng: &mut ChaCha8Rng) -> Effect {
        let parameter = |index: usize| &self.space.parameters()[index];
        let parent = |index: usize| parameter(index).condition.as_ref().map(|condition| condition.parent);
        let places: Vec<usize> =
            self.background.iter().map(|_| alike.choose(rng).copied().unwrap_or(alike[0])).collect();
        let starts: Vec<Point> = self
            .background
            .iter()
            .zip(&places)
            .map(|(point, &index)| {
                let mut point = point.clone();
                if let (Some(choice), Some(parent)) = (of, parent(index)) {
                    self.activate(&mut point, parent, rng);
                    point.0[parent] = Value::Category(choice);
                }
                self.activate(&mut point, index, rng);
                point
            })
            .collect();
        let levels: Vec<Level> = values(&parameter(alike[0]).domain)
            .into_iter()
            .map(|(value, shown)| {
                let set = |(start, &index): (&Point, &usize)| {
                    let mut point = start.clone();
                    point.0[index] = value;
                    self.space.settle(&mut point);
                    point
                };
                let points: Vec<Point> = starts.iter().zip(&places).map(set).collect();
                let (mean, variance) = self.model.average(&points.iter().collect::<Vec<_>>());
                let deviation = self.scale * variance.sqrt();
                Level { value: shown, mean: self.shift + self.scale * mean, deviation }
            })
            .collect();
        let means: Array1<f64> = levels.iter().map(|level| (level.mean - self.shift) / self.scale).collect();
        let importance = if self.variance > 0.0 { (means.var(0.0) / self.variance).min(1.0) } else { 0.0 };
        let of = of.and_then(|choice| match &parameter(parent(alike[0])?).domain {
            Domain::Categorical { choices } => choices.get(choice).cloned(),
            _ => None,
        });
        let parameters = alike.iter().map(|&index| parameter(index).name.clone()).collect();
        Effect { parameters, of, importance, levels }
    }

    /// Makes a parameter active at a point.
    fn activate(&self, point: &mut Point, index: usize, rng: &mut ChaCha8Rng) {
        let Some(condition) = &self.space.parameters()[index].condition else { return };
        self.activate(point, condition.parent, rng);
        let active = point[condition.parent].category().is_some_and(|choice| condition.choices.contains(&choice));
        if !active && let Some(&choice) = condition.choices.choose(rng) {
            point.0[condition.parent] = Value::Category(choice);
        }
    }
}

/// Returns the values of a curve.
fn values(domain: &Domain) -> Vec<(Value, LevelValue)> {
    match domain {
        Domain::Categorical { choices } => {
            let choice = |(index, name): (usize, &String)| (Value::Category(index), LevelValue::Choice(name.clone()));
            choices.iter().enumerate().map(choice).collect()
        }
        _ => {
            let mut values: Vec<Value> = (0..STEPS).map(|step| domain.at(step as f64 / (STEPS - 1) as f64)).collect();
            values.dedup();
            let number = |value: Value| value.real().unwrap_or_else(|| value.integer().unwrap_or_default() as f64);
            values.into_iter().map(|value| (value, LevelValue::Number(number(value)))).collect()
        }
    }
}

impl fmt::Display for LevelValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number:.4}"),
            Self::Choice(choice) => f.write_str(choice),
        }
    }
}

impl fmt::Display for Explanation {
    /// Writes a table with a line for each effect: its importance, its best value and its worst.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "importance  best value (predicted cost)            worst value                            of")?;
        for effect in &self.effects {
            let by_mean = |a: &&Level, b: &&Level| a.mean.total_cmp(&b.mean);
            let (best, worst) = (effect.levels.iter().min_by(by_mean), effect.levels.iter().max_by(by_mean));
            let cell = |level: Option<&Level>| {
                level.map_or(String::new(), |l| format!("{} ({:.4} ± {:.4})", l.value, l.mean, l.deviation))
            };
            let name = match (&effect.of, effect.parameters.as_slice()) {
                (Some(choice), [first, ..]) => format!("{first} … of {choice}"),
                (None, [first, _, ..]) => format!("{first} …"),
                (None, names) => names.concat(),
                (Some(choice), []) => choice.clone(),
            };
            writeln!(f, "{:10.3}  {:37}  {:37}  {name}", effect.importance, cell(best), cell(worst))?;
        }
        Ok(())
    }
}
