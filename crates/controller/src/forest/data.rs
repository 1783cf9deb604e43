//! The training data as the trees read it: checked, column by column, with every value replaced by a small code.

use ndarray::ArrayView2;

use super::params::FeatureKind;
use crate::error::ForestError;

/// One column. `codes` holds, for each row, the category or the rank of the value among the column's distinct values.
pub(super) struct Column {
    pub(super) kind: FeatureKind,
    pub(super) codes: Vec<u32>,
    /// The distinct values in ascending order (continuous only).
    pub(super) values: Vec<f64>,
}

pub(super) struct Data {
    pub(super) columns: Vec<Column>,
    pub(super) targets: Vec<f64>,
}

impl Data {
    pub(super) fn new(
        records: ArrayView2<'_, f64>,
        targets: Vec<f64>,
        kinds: &[FeatureKind],
    ) -> Result<Self, ForestError> {
        let (rows, columns) = records.dim();
        if rows == 0 || columns == 0 {
            return Err(ForestError::Empty { rows, columns });
        }
        if kinds.len() != columns {
            return Err(ForestError::Kinds { kinds: kinds.len(), columns });
        }
        if targets.len() != rows {
            return Err(ForestError::Targets { targets: targets.len(), rows });
        }
        // Squares of targets must be finite: below 1e150 they are, even summed over any number of rows that fits
        // in memory.
        if let Some((row, &value)) =
            targets.iter().enumerate().find(|(_, target)| target.is_nan() || target.abs() >= 1e150)
        {
            return Err(ForestError::Target { row, value });
        }
        let columns = kinds
            .iter()
            .enumerate()
            .map(|(column, &kind)| Column::new(kind, records.column(column).to_vec(), column))
            .collect::<Result<_, _>>()?;
        Ok(Self { columns, targets })
    }
}

impl Column {
    fn new(kind: FeatureKind, raw: Vec<f64>, column: usize) -> Result<Self, ForestError> {
        let allowed = |&value: &f64| match kind {
            FeatureKind::Continuous => value.is_finite(),
            FeatureKind::Categorical(n) => category(value, n).is_some(),
        };
        if let Some(row) = raw.iter().position(|value| !allowed(value)) {
            return Err(ForestError::Feature { row, column, value: raw[row] });
        }
        let mut values = Vec::new();
        let codes = match kind {
            FeatureKind::Categorical(_) => raw.iter().map(|&value| value as u32).collect(),
            FeatureKind::Continuous => {
                values.clone_from(&raw);
                values.sort_unstable_by(f64::total_cmp);
                values.dedup(); // by ==, so that -0.0 and 0.0 are one value
                raw.iter().map(|value| values.partition_point(|other| other < value) as u32).collect()
            }
        };
        Ok(Self { kind, codes, values })
    }
}

/// Returns the category that a number stands for, if it is one of `n`.
pub(super) fn category(value: f64, n: usize) -> Option<usize> {
    let label = value as usize; // saturates; NaN becomes 0
    (value == label as f64 && label < n).then_some(label)
}
