//! Selects ops by name, family or category.

use crate::op::{Category, Op, edit_distance, letters};

/// The name is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown op or group of ops `{name}`; the nearest is `{nearest}`")]
pub struct UnknownSelection {
    /// The name as given.
    pub name: String,
    /// The most similar name.
    pub nearest: &'static str,
}

/// Returns the ops that a name stands for: an op's own name in any spelling, `deepaugment`, `autoaugment`, `all`,
/// or a category such as `geometric`.
///
/// # Errors
///
/// Gives the most similar name.
///
/// ```
/// use deepaug_augmenter::{Op, selection::ops};
///
/// assert_eq!(ops("occlusion").unwrap().len(), 5);
/// assert_eq!(ops("GaussianBlur").unwrap(), [Op::GaussianBlur]);
/// assert_eq!(ops("geometrc").unwrap_err().nearest, "geometric");
/// ```
pub fn ops(name: &str) -> Result<Vec<Op>, UnknownSelection> {
    let wanted = letters(name);
    let groups = ["all", "deepaugment", "autoaugment"].into_iter().chain(Category::ALL.map(Category::name));
    let names = Op::ALL.into_iter().map(Op::name).chain(groups);
    let nearest = names.min_by_key(|name| edit_distance(&wanted, &letters(name))).expect("there are ops");
    if letters(nearest) != wanted {
        return Err(UnknownSelection { name: name.to_owned(), nearest });
    }
    Ok(match nearest {
        "all" => Op::ALL.to_vec(),
        "deepaugment" => Op::DEEPAUGMENT.to_vec(),
        "autoaugment" => Op::AUTOAUGMENT.to_vec(),
        name => Op::ALL.into_iter().filter(|op| op.name() == name || op.category().name() == name).collect(),
    })
}

/// Returns the ops that several names stand for, each once, in the order given.
///
/// # Errors
///
/// Names the first unknown name.
pub fn all_ops<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<Op>, UnknownSelection> {
    let mut chosen = Vec::new();
    for name in names {
        chosen.extend(ops(name)?.into_iter().filter(|op| !chosen.contains(op)).collect::<Vec<_>>());
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_op_has_a_category_and_every_name_stands_for_ops() {
        let all: usize = Category::ALL.into_iter().map(|category| ops(category.name()).unwrap().len()).sum();
        assert_eq!(all, Op::ALL.len());
        assert_eq!(ops("autoaugment").unwrap().len(), 16);
        assert_eq!(ops("AutoAugment").unwrap(), Op::AUTOAUGMENT);
        assert_eq!(all_ops(["weather", "fog", "rotate"]).unwrap(), [Op::Fog, Op::Clouds, Op::Rotate]);
        for op in Op::ALL {
            assert_eq!(ops(op.name()), Ok(vec![op]));
        }
    }
}
