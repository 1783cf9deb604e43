//! Logistic regression of two classes, and how much each point matters to it.

use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use linfa_linalg::cholesky::Cholesky;
use linfa_linalg::triangular::{SolveTriangularInplace, UPLO};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};

/// Vectors that the solver remembers, and its iterations at most.
const MEMORY: usize = 10;
const ITERATIONS: u64 = 200;
/// Steps of Newton's method after it, where a fit is to be exact.
const POLISH: usize = 4;

/// A model that minimises the sum of weighted cross-entropies plus |w|²/2C; the bias is not penalised.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Logistic {
    /// Weights, then the bias.
    values: Array1<f64>,
    strength: f64,
}

/// How much a point matters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    /// Cross-entropy of its class, without the penalty.
    pub(super) loss: f64,
    /// How much its loss would change, to first order, if it counted a little more: -g'H⁻¹g, never positive.
    pub(super) influence: f64,
    /// Its leverage: p(1-p) x'H⁻¹x.
    pub(super) leverage: f64,
}

/// What is minimised.
struct Problem<'a> {
    x: ArrayView2<'a, f64>,
    positive: &'a [bool],
    counts: &'a [f64],
    strength: f64,
}

impl Problem<'_> {
    fn logits(&self, values: ArrayView1<'_, f64>) -> Array1<f64> {
        logits(self.x, values)
    }

    /// Returns the gradient of each point's loss by its logit.
    fn slopes(&self, logits: &Array1<f64>) -> Array1<f64> {
        let points = logits.iter().zip(self.positive).zip(self.counts);
        points.map(|((&logit, &positive), count)| count * (sigmoid(logit) - f64::from(u8::from(positive)))).collect()
    }

    fn gradient_at(&self, values: ArrayView1<'_, f64>) -> Array1<f64> {
        let slopes = self.slopes(&self.logits(values));
        let dimensions = self.x.ncols();
        let mut gradient = Array1::zeros(dimensions + 1);
        let weights = values.slice(s![..dimensions]);
        gradient.slice_mut(s![..dimensions]).assign(&(self.x.t().dot(&slopes) + &weights / self.strength));
        gradient[dimensions] = slopes.sum();
        gradient
    }

    /// Returns the matrix of second derivatives.
    fn hessian(&self, values: ArrayView1<'_, f64>) -> Array2<f64> {
        let extended = extended(self.x);
        let curvature: Array1<f64> = self
            .logits(values)
            .iter()
            .zip(self.counts)
            .map(|(&logit, count)| {
                let p = sigmoid(logit);
                count * p * (1.0 - p)
            })
            .collect();
        let scaled = &extended * &curvature.insert_axis(Axis(1));
        let mut hessian = extended.t().dot(&scaled);
        for weight in 0..self.x.ncols() {
            hessian[[weight, weight]] += 1.0 / self.strength;
        }
        hessian
    }
}

impl CostFunction for Problem<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, values: &Vec<f64>) -> Result<f64, Error> {
        let values = ArrayView1::from(values.as_slice());
        let logits = self.logits(values);
        let points = logits.iter().zip(self.positive).zip(self.counts);
        let loss: f64 = points.map(|((&logit, &positive), count)| count * loss(logit, positive)).sum();
        let weights = values.slice(s![..self.x.ncols()]);
        Ok(loss + 0.5 * weights.dot(&weights) / self.strength)
    }
}

impl Gradient for Problem<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, values: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(self.gradient_at(ArrayView1::from(values.as_slice())).to_vec())
    }
}

impl Logistic {
    /// Fits points `[n, dimensions]`, each of which counts as much as `counts` says.
    pub(super) fn fit(x: ArrayView2<'_, f64>, positive: &[bool], counts: &[f64], strength: f64) -> Self {
        let problem = Problem { x: x.view(), positive, counts, strength };
        let start = vec![0.0; x.ncols() + 1];
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
            .with_tolerance_grad(1e-5)
            .and_then(|solver| solver.with_tolerance_cost(1e-10));
        let run = solver.and_then(|solver| {
            let run = Executor::new(Problem { ..problem }, solver)
                .configure(|state| state.param(start.clone()).max_iters(ITERATIONS));
            run.ctrlc(false).timer(false).run()
        });
        // The line search gives up where nothing can be gained; the best point is then the answer.
        let values = run.ok().and_then(|run| run.state.get_best_param().cloned()).unwrap_or(start);
        Self { values: values.into(), strength }
    }

    /// Does the same, to the last digit.
    pub(super) fn exact(
        x: ArrayView2<'_, f64>,
        positive: &[bool],
        counts: &[f64],
        strength: f64,
    ) -> Result<Self, String> {
        let mut model = Self::fit(x, positive, counts, strength);
        let problem = Problem { x: x.view(), positive, counts, strength };
        for _ in 0..POLISH {
            let gradient = problem.gradient_at(model.values.view());
            let step = Factor::new(&problem.hessian(model.values.view()))?.solve(gradient.insert_axis(Axis(1)))?;
            model.values -= &step.column(0);
        }
        Ok(model)
    }

    /// Returns the logit of the positive class of each point.
    pub(super) fn logits(&self, x: ArrayView2<'_, f64>) -> Array1<f64> {
        logits(x, self.values.view())
    }

    /// Returns how much each of the first `count` of the points that it was fitted to matters.
    ///
    /// # Errors
    /// If the points do not determine the fit.
    pub(super) fn scores(
        &self,
        x: ArrayView2<'_, f64>,
        positive: &[bool],
        counts: &[f64],
        count: usize,
    ) -> Result<Vec<Score>, String> {
        let problem = Problem { x: x.view(), positive, counts, strength: self.strength };
        let x = x.slice(s![..count, ..]);
        let points = extended(x);
        // x'H⁻¹x is the square of the length of L⁻¹x.
        let solved = Factor::new(&problem.hessian(self.values.view()))?.forward(points.t().to_owned())?;
        let logits = self.logits(x);
        let score = |point: usize| {
            let (logit, positive) = (logits[point], positive[point]);
            let distance = solved.column(point).dot(&solved.column(point));
            let p = sigmoid(logit);
            let slope = p - f64::from(u8::from(positive));
            Score {
                loss: loss(logit, positive),
                influence: -slope * slope * distance,
                leverage: p * (1.0 - p) * distance,
            }
        };
        Ok((0..count).map(score).collect())
    }
}

/// The Cholesky factor of a matrix.
struct Factor(Array2<f64>);

impl Factor {
    fn new(matrix: &Array2<f64>) -> Result<Self, String> {
        matrix.cholesky().map(Self).map_err(|error| format!("the images do not determine the fit: {error}"))
    }

    /// Returns L⁻¹b.
    fn forward(&self, mut b: Array2<f64>) -> Result<Array2<f64>, String> {
        self.0.solve_triangular_inplace(&mut b, UPLO::Lower).map_err(|error| error.to_string())?;
        Ok(b)
    }

    fn solve(&self, b: Array2<f64>) -> Result<Array2<f64>, String> {
        let mut b = self.forward(b)?;
        self.0.t().solve_triangular_inplace(&mut b, UPLO::Upper).map_err(|error| error.to_string())?;
        Ok(b)
    }
}

/// Appends a column of ones, which the bias multiplies.
fn extended(x: ArrayView2<'_, f64>) -> Array2<f64> {
    let mut all = Array2::ones((x.nrows(), x.ncols() + 1));
    all.slice_mut(s![.., ..x.ncols()]).assign(&x);
    all
}

fn logits(x: ArrayView2<'_, f64>, values: ArrayView1<'_, f64>) -> Array1<f64> {
    let dimensions = x.ncols();
    x.dot(&values.slice(s![..dimensions])) + values[dimensions]
}

fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// Returns the cross-entropy of a point's class.
fn loss(logit: f64, positive: bool) -> f64 {
    let margin = if positive { logit } else { -logit };
    (-margin).max(0.0) + (-margin.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [usize; 8] = [0, 0, 1, 0, 1, 1, 0, 1];

    fn points() -> (Array2<f64>, Vec<bool>) {
        let second = [1.0, -1.0, 0.5, 2.0, -2.0, 0.0, 1.0, -1.0];
        let x = Array2::from_shape_fn((8, 2), |(i, d)| if d == 0 { (i as f64 - 3.5) / 2.0 } else { second[i] });
        (x, CLASSES.iter().map(|&class| class == 1).collect())
    }

    fn close(found: impl IntoIterator<Item = f64>, expected: &[f64], by: f64) {
        let found: Vec<f64> = found.into_iter().collect();
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < by), "{found:?} {expected:?}");
    }

    /// Computed with Newton's method in double precision, independently.
    #[test]
    fn fits_losses_and_influences_are_the_worked_ones() {
        let (x, positive) = points();
        let model = Logistic::exact(x.view(), &positive, &[1.0; 8], 1.0).unwrap();
        close(model.values.to_vec(), &[0.5125993216, -0.6963200561, 0.0523774631], 1e-9);
        let scores = model.scores(x.view(), &positive, &[1.0; 8], 8).unwrap();
        let losses = [
            0.1940596188,
            0.7485772638,
            1.0900207656,
            0.2072505532,
            0.1884587368,
            0.4983986621,
            0.6915517348,
            0.1763609653,
        ];
        close(scores.iter().map(|score| score.loss), &losses, 1e-9);
        let influences = [
            -0.0602227452,
            -0.4474900733,
            -0.3922590189,
            -0.0657109589,
            -0.0626060516,
            -0.1305842235,
            -0.3716384091,
            -0.0539183876,
        ];
        close(scores.iter().map(|score| score.influence), &influences, 1e-9);
        close(scores.iter().take(3).map(|score| score.leverage), &[0.2811930697, 0.4017001793, 0.1986789744], 1e-9);
        let other = Logistic::exact(x.view(), &positive, &[1.0; 8], 10.0).unwrap();
        close(other.values.to_vec(), &[0.7849058179, -1.0658641223, 0.0908366345], 1e-9);
        let quick = Logistic::fit(x.view(), &positive, &[1.0; 8], 1.0);
        close(quick.values.to_vec(), &model.values.to_vec(), 1e-4);
    }

    /// Leaving a point out and fitting again: the corrected influence is nearer to the truth at every point.
    #[test]
    fn influence_is_what_a_refit_without_the_point_gives_to_first_order() {
        let (x, positive) = points();
        let scores = Logistic::exact(x.view(), &positive, &[1.0; 8], 1.0)
            .unwrap()
            .scores(x.view(), &positive, &[1.0; 8], 8)
            .unwrap();
        let mut rises = Vec::new();
        for left_out in 0..8 {
            let mut counts = [1.0; 8];
            counts[left_out] = 0.0;
            let refit = Logistic::exact(x.view(), &positive, &counts, 1.0).unwrap();
            let after = loss(refit.logits(x.view())[left_out], positive[left_out]);
            let rise = after - scores[left_out].loss;
            let Score { influence, leverage, .. } = scores[left_out];
            let corrected = -influence / (1.0 - leverage);
            assert!((corrected - rise).abs() < (-influence - rise).abs(), "{left_out}: {corrected} {influence} {rise}");
            rises.push(rise);
        }
        let expected = [
            0.0984927645,
            1.0476589813,
            0.6617841463,
            0.1087310312,
            0.1074259811,
            0.1765177862,
            0.7884237919,
            0.0877921332,
        ];
        close(rises, &expected, 1e-8);
    }

    #[test]
    fn copies_that_share_a_points_weight_change_nothing() {
        let (x, positive) = points();
        let plain = Logistic::exact(x.view(), &positive, &[1.0; 8], 1.0).unwrap();
        let rows: Vec<usize> = (0..8).chain([2; 4]).collect();
        let with_copies = x.select(Axis(0), &rows);
        let labels: Vec<bool> = rows.iter().map(|&row| positive[row]).collect();
        let counts: Vec<f64> = rows.iter().map(|&row| if row == 2 { 0.2 } else { 1.0 }).collect();
        let shared = Logistic::exact(with_copies.view(), &labels, &counts, 1.0).unwrap();
        close(shared.values.to_vec(), &plain.values.to_vec(), 1e-11);
    }
}
