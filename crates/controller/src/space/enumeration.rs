//! Counts the distinct points of a finite space, and gives each a number.

use super::{Domain, Space};
use crate::point::{Point, Value};

impl Space {
    /// Returns the number of distinct points in the space, not counting inactive values and the order of
    /// exchangeable groups; `None` if it is infinite (an active real), or too large for 128 bits.
    ///
    /// ```
    /// use deepaug_controller::Space;
    ///
    /// let space = Space::new().categorical("op", ["invert", "rotate"])?.integer("angle", 1, 5)?;
    /// assert_eq!(space.size(), Some(10));
    /// let space = space.active_when("angle", "op", ["rotate"])?;
    /// assert_eq!(space.size(), Some(6));
    /// # Ok::<(), deepaug_controller::SpaceError>(())
    /// ```
    pub fn size(&self) -> Option<u128> {
        let sizes = self.subtree_sizes();
        let product = |mut roots: std::slice::Iter<'_, usize>| {
            roots.try_fold(1_u128, |all, &root| all.checked_mul(self.states(root, &sizes)?))
        };
        let exchanged = |index: &usize| self.parameters[*index].place.is_some();
        let free: Vec<usize> = self.roots().filter(|index| !exchanged(index)).collect();
        self.exchangeable.iter().try_fold(product(free.iter())?, |all, groups| {
            let roots: Vec<usize> =
                groups[0].iter().copied().filter(|&index| self.parameters[index].condition.is_none()).collect();
            // Multisets: for g groups with s states each, s (s + 1) ... (s + g - 1) / g!; every partial quotient
            // is an integer.
            let states = product(roots.iter())?;
            let multisets = (1..=groups.len() as u128)
                .try_fold(1_u128, |count, group| Some(count.checked_mul(states.checked_add(group - 1)?)? / group))?;
            all.checked_mul(multisets)
        })
    }

    /// Returns the number of states of a root with everything that depends on it; the first of distinct groups
    /// stands for all of them.
    fn states(&self, root: usize, sizes: &[Option<u128>]) -> Option<u128> {
        if !self.rivals[root].is_empty() {
            return Some(1);
        }
        let Some(groups) = self.distinct.iter().find(|groups| groups[0].contains(&root)) else { return sizes[root] };
        if groups[0][0] != root {
            return sizes[root];
        }
        // Ordered sequences of k distinct choices, for k = 1 to the number of groups: k! times the k-th elementary
        // symmetric polynomial of the choices' numbers of states.
        let choices = self.parameters[root].domain.choices().map_or(0, <[String]>::len);
        let mut polynomials = vec![1_u128];
        polynomials.resize(groups.len() + 1, 0);
        for choice in 0..choices {
            let size = self.choice_size(root, choice, sizes)?;
            for k in (1..=groups.len()).rev() {
                polynomials[k] = polynomials[k].checked_add(polynomials[k - 1].checked_mul(size)?)?;
            }
        }
        let mut orders = 1_u128;
        (1..=groups.len()).try_fold(0_u128, |sum, k| {
            orders = orders.checked_mul(k as u128)?;
            sum.checked_add(orders.checked_mul(polynomials[k])?)
        })
    }

    /// Returns the number of ranks for [`unrank`](Self::unrank): the size, counting every order of exchangeable
    /// groups.
    pub(crate) fn ranks(&self) -> Option<u128> {
        let sizes = self.subtree_sizes();
        self.roots().try_fold(1_u128, |product, root| product.checked_mul(sizes[root]?))
    }

    /// Returns the maximum number of ranks that stand for one point.
    pub(crate) fn orders(&self) -> u128 {
        if !self.distinct.is_empty() {
            return self.ranks().unwrap_or(u128::MAX);
        }
        let factorial = |groups: &Vec<Vec<usize>>| (1..=groups.len() as u128).fold(1_u128, u128::saturating_mul);
        self.exchangeable.iter().map(factorial).fold(1, u128::saturating_mul)
    }

    /// Returns the canonical point with the number `rank`, for a finite space with more [`ranks`](Self::ranks)
    /// than that.
    pub(crate) fn unrank(&self, mut rank: u128) -> Point {
        let sizes = self.subtree_sizes();
        let mut point = Point(self.parameters.iter().map(|parameter| parameter.domain.at(0.0)).collect());
        for root in self.roots() {
            let size = sizes[root].unwrap_or(1);
            self.unrank_subtree(root, rank % size, &sizes, &mut point);
            rank /= size;
        }
        self.settle(&mut point);
        point
    }

    fn roots(&self) -> impl Iterator<Item = usize> {
        (0..self.parameters.len()).filter(|&index| self.parameters[index].condition.is_none())
    }

    fn children(&self, parent: usize, choice: usize) -> impl Iterator<Item = usize> {
        (parent + 1..self.parameters.len()).filter(move |&index| {
            let condition = &self.parameters[index].condition;
            condition.as_ref().is_some_and(|c| c.parent == parent && c.choices.contains(&choice))
        })
    }

    /// Returns, for each parameter, the number of ways to set it and everything that depends on it, given that it
    /// is active.
    fn subtree_sizes(&self) -> Vec<Option<u128>> {
        let mut sizes = vec![None; self.parameters.len()];
        for index in (0..self.parameters.len()).rev() {
            sizes[index] = match &self.parameters[index].domain {
                Domain::Categorical { choices } => (0..choices.len())
                    .try_fold(0_u128, |sum, choice| sum.checked_add(self.choice_size(index, choice, &sizes)?)),
                domain => domain.len(),
            };
        }
        sizes
    }

    fn choice_size(&self, parent: usize, choice: usize, sizes: &[Option<u128>]) -> Option<u128> {
        self.children(parent, choice).try_fold(1_u128, |product, child| product.checked_mul(sizes[child]?))
    }

    fn unrank_subtree(&self, index: usize, mut rank: u128, sizes: &[Option<u128>], point: &mut Point) {
        match &self.parameters[index].domain {
            Domain::Categorical { choices } => {
                for choice in 0..choices.len() {
                    let size = self.choice_size(index, choice, sizes).unwrap_or(1);
                    if rank >= size {
                        rank -= size;
                        continue;
                    }
                    point.0[index] = Value::Category(choice);
                    for child in self.children(index, choice) {
                        let size = sizes[child].unwrap_or(1);
                        self.unrank_subtree(child, rank % size, sizes, point);
                        rank /= size;
                    }
                    return;
                }
            }
            Domain::Integer { low, .. } => point.0[index] = Value::Integer((i128::from(*low) + rank as i128) as i64),
            Domain::Real { .. } => {}
        }
    }
}
