//! Simulated searches among augmentation schemes: how should a few dozen training runs be spent? The space is that
//! of `space = "schemes"`; the worth of a scheme is made up from effects of families, of mirror images and so on,
//! which add up and saturate, and of strengths that help up to a point.

use std::error::Error;

use clap::Args;
use deepaug_controller::{Method, Outcome, Point, Settings, Space, SpaceError, Value, searcher};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

const FAMILIES: usize = 8;
const SOURCES: [&str; 4] = ["nothing", "families", "randaugment", "trivialaugment"];
const SWITCHES: [&str; 3] = ["horizontal-flip", "vertical-flip", "square"];
const SHIFTS: [f64; 4] = [0.0, 2.0, 4.0, 8.0];

/// Numbers of training runs after which searches are compared.
const MARKS: [usize; 4] = [40, 48, 60, 120];

/// Standard deviations of one training run; effects are of the order of 1.
const NOISES: [f64; 2] = [0.14, 0.42];

#[derive(Args)]
pub struct Schemes {
    /// The search method.
    #[arg(long, default_value = "bayesian_optimization")]
    method: Method,
    /// Settings that differ from the defaults, as JSON.
    #[arg(
        long,
        default_value = r#"{"initial_points": 0, "random_interleave": 0.0, "forest": {"min_leaf": 1}, "maximiser": {"near": 5}}"#
    )]
    settings: String,
    /// Maximum number of schemes without a search to try first.
    #[arg(long, default_value_t = 19)]
    free: usize,
    /// A second training run goes to the best one in this many by the first; 1: to all.
    #[arg(long, default_value_t = 3)]
    reduction: usize,
    /// Number of simulated image sets.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
}

impl Schemes {
    /// Prints, for each noise and number of training runs, by how much on average the best of the three schemes
    /// with the highest mean beats the best one that needs no search.
    #[allow(clippy::print_stdout)]
    pub fn run(&self) -> Result<(), Box<dyn Error>> {
        let settings: Settings = serde_json::from_str(&self.settings)?;
        println!("noise of a training run, then gains over the best free scheme after {MARKS:?} training runs");
        for noise in NOISES {
            let search = |seed| self.search(&settings, noise, seed).map_err(|error| error.to_string());
            let gains = (0..self.seeds).into_par_iter().map(search).collect::<Result<Vec<_>, String>>()?;
            let mean = |mark: usize| gains.iter().map(|gains| gains[mark]).sum::<f64>() / gains.len() as f64;
            let means: Vec<String> = (0..MARKS.len()).map(|mark| format!("{:+.3}", mean(mark))).collect();
            println!("{noise}  {}", means.join("  "));
        }
        Ok(())
    }

    fn search(&self, settings: &Settings, noise: f64, seed: u64) -> Result<Vec<f64>, Box<dyn Error>> {
        let truth = Truth::new(seed);
        let free = free();
        let best_free = free.iter().map(|point| truth.worth(point)).fold(f64::MIN, f64::max);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(1);
        let mut searcher = searcher(self.method, space()?, settings.clone(), seed)?;
        let mut first_samples: Vec<f64> = Vec::new();
        // Means and true values of those with two training runs.
        let mut judged: Vec<(f64, f64)> = Vec::new();
        let (mut gains, mut trainings) = (Vec::new(), 0);
        for trial in 0.. {
            let point = match free.get(trial).filter(|_| trial < self.free) {
                Some(point) => {
                    searcher.register(trial as u64, point.clone())?;
                    point.clone()
                }
                None => searcher.ask(trial as u64)?,
            };
            let worth = truth.worth(&point);
            let mut train = || worth + noise * rng.sample::<f64, _>(StandardNormal);
            let first = train();
            first_samples.sort_by(|a, b| b.total_cmp(a));
            let stay = (first_samples.len() + 1) / self.reduction;
            let is_pruned = self.reduction > 1 && stay > 0 && first < first_samples[stay - 1];
            first_samples.push(first);
            let mean = if is_pruned { first } else { 0.5 * (first + train()) };
            trainings += if is_pruned { 1 } else { 2 };
            if !is_pruned {
                judged.push((mean, worth));
            }
            searcher.tell(trial as u64, Outcome::Cost(-mean))?;
            while MARKS.get(gains.len()).is_some_and(|&mark| trainings >= mark) {
                judged.sort_by(|a, b| b.0.total_cmp(&a.0));
                let found = judged.iter().take(3).map(|(_, worth)| *worth).fold(f64::MIN, f64::max);
                gains.push(found - best_free);
            }
            if gains.len() == MARKS.len() {
                break;
            }
        }
        Ok(gains)
    }
}

fn space() -> Result<Space, SpaceError> {
    let mut space = Space::new().categorical("source", SOURCES)?.categorical("draws", ["1", "2", "3"])?;
    space = space.real("strength", 0.1, 1.0)?;
    for drawn in ["draws", "strength"] {
        space = space.active_when(drawn, "source", &SOURCES[1..])?;
    }
    for family in 0..FAMILIES {
        let name = format!("family {family}");
        space = space.categorical(&name, [format!("no {name}"), name.clone()])?;
        space = space.active_when(&name, "source", ["families"])?;
    }
    for name in SWITCHES {
        space = space.categorical(name, [format!("no {name}"), name.into()])?;
    }
    space.categorical("shift", SHIFTS.map(|pixels| format!("shift {pixels}")))
}

/// Returns a point: source, draws less 1, strength, one family if there is one, switches, shift.
fn point(source: usize, draws: usize, strength: f64, family: Option<usize>, last: [usize; 4]) -> Point {
    let mut values = vec![Value::Category(source), Value::Category(draws), Value::Real(strength)];
    values.extend((0..FAMILIES).map(|other| Value::Category(usize::from(family == Some(other)))));
    values.extend(last.map(Value::Category));
    Point(values)
}

/// Returns none, and what people use without a search: shifts, mirror images, a covered square, TrivialAugment,
/// four variants of RandAugment, and each family on its own.
fn free() -> Vec<Point> {
    let plain = |last| point(0, 0, 0.1, None, last);
    let mut free = vec![
        plain([0, 0, 0, 0]),
        plain([1, 0, 0, 2]),
        point(3, 0, 1.0, None, [0; 4]),
        point(2, 1, 0.3, None, [0; 4]),
        point(3, 0, 1.0, None, [1, 0, 0, 2]),
        point(2, 1, 0.3, None, [1, 0, 0, 2]),
        plain([0, 0, 0, 2]),
        plain([1, 0, 0, 0]),
        plain([1, 0, 1, 2]),
        point(2, 0, 5.0 / 30.0, None, [0; 4]),
        point(2, 1, 0.5, None, [0; 4]),
    ];
    free.extend((0..FAMILIES).map(|family| point(1, 0, 0.5, Some(family), [0; 4])));
    free
}

/// The worth of schemes on one image set.
struct Truth {
    /// Effect of each family at its best strength, and that strength.
    families: [[f64; 2]; FAMILIES],
    /// Effect of all of RandAugment's ops.
    all: f64,
    /// The cost of many and strong ops.
    harm: f64,
    switches: [f64; 3],
    /// Effect of the best shift, and that shift in pixels.
    shift: [f64; 2],
    /// The maximum of all effects together.
    most: f64,
}

impl Truth {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = |mean: f64, deviation: f64| mean + deviation * rng.sample::<f64, _>(StandardNormal);
        let families = std::array::from_fn(|_| [normal(0.2, 0.7), normal(0.5, 0.3).clamp(0.05, 1.2)]);
        Self {
            families,
            all: families.iter().map(|family| family[0]).sum::<f64>() / FAMILIES as f64 + normal(0.1, 0.2),
            harm: normal(0.2, 0.15).max(0.05),
            switches: [normal(0.0, 0.7), normal(-0.4, 0.5), normal(0.1, 0.3)],
            shift: [normal(0.6, 0.6), normal(4.0, 1.5).clamp(1.0, 8.0)],
            most: normal(2.0, 0.4).max(1.0),
        }
    }

    fn worth(&self, point: &Point) -> f64 {
        let category = |index: usize| point[index].category().unwrap_or(0);
        let (source, draws) = (category(0), 1.0 + category(1) as f64);
        let strength = point[2].real().unwrap_or(0.0);
        // 1 at the best strength, 0 at none and at twice as much.
        let bump = |strength: f64, best: f64| strength / best * (2.0 - strength / best);
        let mut sum = match source {
            0 => 0.0,
            1 => {
                let chosen: Vec<[f64; 2]> = (0..FAMILIES)
                    .filter(|family| category(3 + family) == 1)
                    .map(|family| self.families[family])
                    .collect();
                let share = (draws / chosen.len().max(1) as f64).min(1.0).sqrt();
                let of = |[effect, best]: [f64; 2]| match effect > 0.0 {
                    true => effect * bump(strength, best).max(-1.5),
                    false => effect * strength / best,
                };
                let harm = if chosen.is_empty() { 0.0 } else { 2.0 * self.harm * (draws - 1.0) * strength.powi(2) };
                share * chosen.into_iter().map(of).sum::<f64>() - harm
            }
            _ => {
                // Magnitudes up to a maximum are smaller on average.
                let strength = if source == 3 { 0.6 * strength } else { strength };
                let all = 2.5 * (self.all * (1.2 * draws * strength).min(2.0)).min(3.0);
                let geometry = 0.6 * (self.families[0][0].max(0.0) + self.families[1][0].max(0.0));
                all + geometry * bump(strength, 0.5).max(0.0) - self.harm * (draws * strength).powi(2)
            }
        };
        let first_switch = 3 + FAMILIES;
        sum += (0..3).map(|switch| self.switches[switch] * category(first_switch + switch) as f64).sum::<f64>();
        sum += self.shift[0] * bump(SHIFTS[category(first_switch + 3)], self.shift[1]);
        if sum > 0.0 { self.most * (1.0 - (-sum / self.most).exp()) } else { sum.max(-3.0) }
    }
}
