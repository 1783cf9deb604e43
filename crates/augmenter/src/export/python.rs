//! Python modules assembled from parts of the files next to this one.

use super::data::{self, finish_of};
use crate::{application::Application, distribution::Distribution, online::Online, policy::Policy};

/// The longest line written.
pub(super) const WIDTH: usize = 120;

/// A top-level statement of a module.
struct Block<'a> {
    name: &'a str,
    /// How a use of the name looks.
    is_called: bool,
    text: &'a str,
}

impl<'a> Block<'a> {
    fn new(text: &'a str) -> Self {
        let line = text.lines().next().unwrap_or_default();
        let definition = line.strip_prefix("def ").or_else(|| line.strip_prefix("class "));
        let name = definition.unwrap_or(line).split(['(', ' ', ':']).next().unwrap_or_default();
        Self { name, is_called: definition.is_some(), text }
    }

    fn is_used_in(&self, text: &str) -> bool {
        // The ops are also values of a dictionary.
        let is_entry = || text.contains(&format!("\": {},", self.name));
        uses(text, self.name, if self.is_called { "(" } else { "" }) || is_entry()
    }
}

/// Whether a name, followed by `end`, occurs in the text as a separate word and not as an attribute of something
/// else.
fn uses(text: &str, name: &str, end: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(&format!("{name}{end}")).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        !before.is_some_and(|c| part_of_word(c) || c == '.') && (!end.is_empty() || !after.is_some_and(part_of_word))
    })
}

/// Returns a block of code for policies that draw how many sub-policies to apply, or that change during training.
fn adapted(text: &str, has_counts: bool, is_scheduled: bool) -> String {
    const DRAWS: &str = "        for _ in range(policy[\"draws\"]):\n";
    let mut text = text.to_owned();
    if has_counts {
        let first = format!("        if \"counts\" in policy:\n            image = some(image, policy, rng)\n{DRAWS}");
        text = text.replace(DRAWS, &first);
    }
    if is_scheduled {
        for (of_one, of_several) in [
            ("def augment(image, rng, chance=None):", "def augment(image, rng, chance, policies):"),
            ("policy = POLICIES[rng.integers(len(POLICIES))]", "policy = policies[rng.integers(len(policies))]"),
            (", self.chance)", ", self.chance, self.policies)"),
            ("class DeepaugPolicy(", "class DeepaugPolicy(Scheduled, "),
        ] {
            text = text.replace(of_one, of_several);
        }
    }
    text
}

/// Writes a module. The first of `sources` has the docstring to fill in and ends with the class, which calls what
/// comes before it and what is in the other sources. `origin` says where the policies come from.
pub(super) fn module(policies: &[Policy], application: Application, origin: &str, sources: &[&str]) -> String {
    let parts: Vec<(&str, Vec<Block<'_>>)> = sources
        .iter()
        .map(|source| {
            let mut blocks = source.trim_end().split("\n\n\n");
            (blocks.next().unwrap_or_default(), blocks.map(Block::new).collect())
        })
        .collect();
    let (heads, blocks): (Vec<&str>, Vec<Vec<Block<'_>>>) = parts.into_iter().unzip();
    let (mut roots, helpers): (Vec<_>, Vec<_>) =
        blocks.into_iter().flatten().partition(|block| ["DeepaugPolicy", "Scheduled"].contains(&block.name));
    let (has_counts, is_scheduled) =
        (data::has_counts(policies), policies.iter().any(|policy| !policy.earlier.is_empty()));
    let adapted = |block: &Block<'_>| adapted(block.text, has_counts, is_scheduled);
    roots.retain(|block| is_scheduled || block.name != "Scheduled");
    // The schedule is what the policy is made from.
    roots.sort_by_key(|block| block.name != "Scheduled");

    let (mut data, ops) = data::policies(policies, application);
    let is_of = |line: &str| ops.iter().any(|op| line.starts_with(&format!("    \"{op}\":")));
    let table = |text: &str| {
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("    \"") || is_of(line)).collect();
        lines.join("\n")
    };
    let (tables, helpers): (Vec<_>, Vec<_>) = helpers.into_iter().partition(|block| block.name == "OPS");
    data.splice(0..0, tables.iter().map(|block| table(block.text)));
    data.extend(roots.iter().map(adapted));
    let mut needed = vec![false; helpers.len()];
    let mut uses_of = data.join("\n");
    while let Some(i) = (0..helpers.len()).find(|&i| !needed[i] && helpers[i].is_used_in(&uses_of)) {
        needed[i] = true;
        uses_of.push_str(&adapted(&helpers[i]));
    }
    let helpers = helpers.iter().zip(needed).filter(|(_, needed)| *needed).map(|(block, _)| adapted(block));

    let (docstring, _) = heads[0].split_once("\n\nimport ").unwrap_or((heads[0], ""));
    let docstring =
        docstring.replace("<policy>", &words(policies, origin)).replace("<meaning>", &meaning(policies, application));
    let imports = imports(&heads, &uses_of);
    let needs = match (imports.contains("import cv2"), imports.contains("from PIL")) {
        (true, true) => " Needs OpenCV and Pillow.",
        (true, false) => " Needs OpenCV.",
        (false, true) => " Needs Pillow.",
        (false, false) => "",
    };
    let mut all = vec![format!("{}\n\n{imports}", docstring.replace("<needs>", needs))];
    all.extend(helpers);
    all.extend(data);
    all.join("\n\n\n") + "\n"
}

/// Returns the imports that the text uses, with the standard library's first.
fn imports(heads: &[&str], text: &str) -> String {
    let lines = heads.iter().flat_map(|head| head.lines());
    let mut lines: Vec<&str> = lines
        .filter(|line| line.starts_with("import ") || line.starts_with("from "))
        .filter(|line| uses(text, line.rsplit(' ').next().unwrap_or_default(), "."))
        .collect();
    lines.sort_unstable_by_key(|line| (*line != "import math", line.split(' ').nth(1)));
    lines.dedup();
    let text = lines.join("\n");
    match text.strip_prefix("import math\n") {
        Some(rest) => format!("import math\n\n{rest}"),
        None => text,
    }
}

/// Returns the policies as printed by `Display`, and where they come from, in lines.
fn words(policies: &[Policy], origin: &str) -> String {
    let mut lines: Vec<String> = match policies {
        [policy] => vec![wrapped(&format!("Policy: {policy}."))],
        several => {
            let line = |(i, policy)| wrapped(&format!("Policy {} of {}: {policy}.", i + 1, several.len()));
            several.iter().enumerate().map(line).collect()
        }
    };
    // Names of folders may hold anything.
    let origin = origin.replace('\\', "\\\\").replace('"', "\\\"").replace(char::is_control, " ");
    lines.extend((!origin.is_empty()).then(|| wrapped(&origin)));
    lines.join("\n")
}

fn meaning(policies: &[Policy], application: Application) -> String {
    let first =
        if policies.len() > 1 { "One of the policies is chosen for each image, all equally likely. " } else { "" };
    let schedule = if policies.iter().any(|policy| !policy.earlier.is_empty()) {
        " The policy changes during training: call set_epoch(epoch, epochs) before each epoch."
    } else {
        ""
    };
    if data::has_counts(policies) {
        let finish = finish_of(application)
            .map(|online| format!(" Every image is finished at the end: {}.", Online { chance: 0.0, ..online }));
        return wrapped(&format!(
            "{first}An image stays unchanged with probability 1 - chance; otherwise a number of ops is drawn by counts, \
             and the steps are tried in random order, each with its own probability, until so many have been applied. \
             Their numbers are drawn anew for each image. To change the chance: DeepaugPolicy(chance=0.9).{schedule}{}",
            finish.unwrap_or_default()
        ));
    }
    if let Some(online) = application.online().filter(|_| !policies.iter().all(|policy| policy.in_place)) {
        let finish = match finish_of(application) {
            Some(_) => format!(" Every image is finished at the end: {}.", Online { chance: 0.0, ..online }),
            None => String::new(),
        };
        return wrapped(&format!(
            "{first}An image stays unchanged with probability 1 - chance; otherwise it gets one of the \
             sub-policies, all equally likely. Its ops are applied in order, with numbers drawn anew for each \
             image. The default chance is that of the search; to change it: DeepaugPolicy(chance=0.9).{schedule}{finish}"
        ));
    }
    if policies.iter().all(|policy| policy.in_place) {
        return wrapped(&format!(
            "{first}An image stays unchanged with probability 1 - chance; otherwise it gets as many of the \
             sub-policies in a row as the policy draws, all equally likely, and then the steps that always follow, \
             with numbers drawn anew for each image. The default chance is listed in POLICIES below; to change it: DeepaugPolicy(chance=0.9).{schedule}{}",
            finish_of(application)
                .map(|online| format!(" Every image is finished at the end: {online}."))
                .unwrap_or_default()
        ));
    }
    wrapped(&format!(
        "{first}An image stays unchanged with probability 1 - chance; otherwise it gets one of the sub-policies, \
         all equally likely. Its ops are applied in order, with numbers drawn anew for each image. The default \
         chance is that of copies: if each of S sub-policies copies a portion of the images, S portion / (1 + S \
         portion) of all images are copies. To change it: DeepaugPolicy(chance=0.9).{schedule}"
    ))
}

/// Breaks the text into lines.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

/// Formats a Python float with eight significant digits, which suffice for the kernels' 32-bit arithmetic.
pub(super) fn number(value: f64) -> String {
    float(value, 8)
}

fn float(value: f64, digits: usize) -> String {
    let rounded: f64 = format!("{value:.*e}", digits - 1).parse().expect("a formatted number");
    // Adding 0 turns a negative 0 into a positive one.
    format!("{:?}", rounded + 0.0)
}

/// Returns the ends of a uniform draw, lower one first, unless they are equal.
pub(super) fn ends(draw: Distribution) -> Option<(String, String)> {
    match draw {
        Distribution::Between(a, b) if a != b => Some((float(a.min(b), 6), float(a.max(b), 6))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_floats_of_eight_digits() {
        for (value, text) in [(0.1 + 0.2, "0.3"), (20.0, "20.0"), (-0.0, "0.0"), (1.0 / 3.0, "0.33333333")] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn names_are_used_as_words_and_calls() {
        let text = "x = TF.invert(image) + subcrop(1) + crop (2)\nFOG_2 = grid(3)[FOG]";
        assert!(uses(text, "grid", "(") && uses(text, "FOG", "") && uses(text, "TF", "."));
        assert!(!uses(text, "invert", "(") && !uses(text, "crop", "("));
        assert!(!uses("FOG_2", "FOG", ""));
    }
}
