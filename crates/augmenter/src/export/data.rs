//! Policies as Python data: lists of steps `("rotate", 1.0, {"degrees": (-13.95, 13.95)})` for the ops of `ops.py`.

use super::python::{WIDTH, ends, number};
use crate::{
    application::Application,
    distribution::Distribution,
    online::Online,
    ops::Fill,
    policy::{Policy, Step, SubPolicy},
    ranges::RangeTable,
    transform::{Grid, Transform, Unit, Warp},
};

/// A call of an op: its name, the probability of applying it, and its arguments.
struct Call {
    op: &'static str,
    probability: f64,
    arguments: Vec<(&'static str, String)>,
}

/// Returns the statements that hold the policies and what every image gets at the end, and the names of the ops. The
/// parts of a schedule are its policies.
pub(super) fn policies(policies: &[Policy], application: Application) -> (Vec<String>, Vec<&'static str>) {
    let mut ops = Vec::new();
    let mut list = String::from(
        "# Steps are (op, probability, numbers); how numbers are drawn says `drawn`. `chance`: the probability that an\n\
         # image changes. It then gets `draws` of the sub-policies, each drawn at random, and `always`.\n",
    );
    if has_counts(policies) {
        list.push_str("# `counts`: the probabilities of 0, 1, 2 ... sub-policies, which are tried in random order.\n");
    }
    list.push_str("POLICIES = [\n");
    for (_, policy) in policies.iter().flat_map(Policy::pieces) {
        let unchanged = [SubPolicy::default()];
        let sub_policies = if policy.sub_policies.is_empty() { &unchanged } else { policy.sub_policies.as_slice() };
        let calls: Vec<Vec<Call>> = sub_policies.iter().map(|sub_policy| calls(sub_policy, policy.ranges)).collect();
        let always = calls_of_always(policy);
        let is_used = |call: &&Call| policy.counts.is_empty() || call.probability > 0.0;
        ops.extend(calls.iter().flatten().filter(is_used).chain(&always).map(|call| call.op));
        let chance = number((application.chance(policy) * 1e4).round() / 1e4);
        if policy.counts.is_empty() {
            list.push_str(&format!("    {{\"chance\": {chance}, \"draws\": {}, \"sub_policies\": [\n", policy.draws));
            list.extend(groups(calls).iter().map(|calls| group(calls)));
        } else {
            let counts = policy.counts.iter().map(|&count| number(count)).collect::<Vec<_>>().join(", ");
            list.push_str(&format!(
                "    {{\"chance\": {chance}, \"draws\": 0, \"counts\": [{counts}], \"sub_policies\": [\n"
            ));
            // What is never applied makes no difference to the others.
            let tried = calls.iter().filter(|calls| calls.iter().any(|call| call.probability > 0.0));
            let tried: Vec<String> = tried.map(|calls| steps(&texts(calls), 8)).collect();
            list.push_str(&if tried.is_empty() { String::new() } else { filled(&tried, 8) });
        }
        list.push_str(&format!("    ], \"always\": {}}},\n", steps(&texts(&always), 4)));
    }
    list.push(']');
    let mut statements = vec![list];
    if let [policy] = policies
        && !policy.earlier.is_empty()
    {
        let epochs: Vec<String> = policy.pieces().map(|(epochs, _)| epochs.to_string()).collect();
        statements.push(format!("# For how many epochs each policy is in force.\nEPOCHS = [\n{}]", filled(&epochs, 4)));
    }
    let finish: Vec<String> = finish_of(application).iter().map(finish).collect();
    ops.extend(finish.first().map(|_| "finish"));
    let finish = format!("# Applied to every image at the end, augmented or not.\nFINISH = {}", steps(&finish, 0));
    statements.push(finish);
    (statements, ops)
}

/// Whether one of the policies draws how many sub-policies to apply.
pub(super) fn has_counts(policies: &[Policy]) -> bool {
    policies.iter().flat_map(Policy::pieces).any(|(_, policy)| !policy.counts.is_empty())
}

/// Returns what every image gets at the end, if anything.
pub(super) fn finish_of(application: Application) -> Option<Online> {
    let finish = Online { chance: 0.0, ..application.online()? };
    (finish != Online::NOTHING).then_some(finish)
}

fn finish(Online { pad, flip, cutout, .. }: &Online) -> String {
    let flip = if *flip { "True" } else { "False" };
    format!(r#"("finish", 1.0, {{"pad": {}, "flip": {flip}, "square": {}}})"#, number(*pad), number(*cutout))
}

fn calls(sub_policy: &SubPolicy, ranges: RangeTable) -> Vec<Call> {
    let transform = |step: &Step| Some(call(step.probability, &ranges.transform(step.op, step.magnitude)?));
    sub_policy.ops.iter().filter_map(transform).collect()
}

fn calls_of_always(policy: &Policy) -> Vec<Call> {
    calls(&policy.always, RangeTable::Monotone)
}

/// Groups sub-policies that differ in nothing but numbers. Their order does not matter, as they are drawn at random.
fn groups(calls: Vec<Vec<Call>>) -> Vec<Vec<Vec<Call>>> {
    let alike = |a: &Call, b: &Call| {
        let names = a.arguments.iter().map(|(name, _)| name).eq(b.arguments.iter().map(|(name, _)| name));
        a.op == b.op && a.probability == b.probability && names
    };
    let mut groups: Vec<Vec<Vec<Call>>> = Vec::new();
    for sub_policy in calls {
        let is_of = |group: &Vec<Vec<Call>>| {
            group[0].len() == sub_policy.len() && group[0].iter().zip(&sub_policy).all(|(a, b)| alike(a, b))
        };
        match groups.iter().position(is_of) {
            Some(found) => groups[found].push(sub_policy),
            None => groups.push(vec![sub_policy]),
        }
    }
    groups
}

/// Writes a group of sub-policies, as lists or a comprehension over the numbers that differ.
fn group(group: &[Vec<Call>]) -> String {
    let line = |sub_policy: &Vec<Call>| format!("        {},\n", steps(&texts(sub_policy), 8));
    if group.len() < 3 {
        return group.iter().map(line).collect();
    }
    let numbers = |sub_policy: &Vec<Call>| -> Vec<String> {
        sub_policy.iter().flat_map(|call| call.arguments.iter().map(|(_, value)| value.clone())).collect()
    };
    let rows: Vec<Vec<String>> = group.iter().map(numbers).collect();
    let varies: Vec<usize> = (0..rows[0].len()).filter(|&i| rows.iter().any(|row| row[i] != rows[0][i])).collect();
    let variable = |i: usize| format!("v{i}");
    let mut names = (0..rows[0].len()).map(|i| match varies.iter().position(|&j| i == j) {
        Some(position) => variable(position),
        None => rows[0][i].clone(),
    });
    let template = group[0].iter().map(|call| {
        let arguments = call.arguments.iter().map(|(name, _)| (*name, names.next().unwrap_or_default()));
        text(&Call { arguments: arguments.collect(), ..*call })
    });
    let template = steps(&template.collect::<Vec<_>>(), 12);
    if varies.is_empty() {
        return format!("        *{} * [{template}],\n", group.len());
    }
    let variables: Vec<String> = (0..varies.len()).map(variable).collect();
    let variables = variables.join(", ");
    let value = |row: &Vec<String>| match varies.as_slice() {
        [only] => row[*only].clone(),
        several => format!("({})", several.iter().map(|&i| row[i].clone()).collect::<Vec<_>>().join(", ")),
    };
    let values = filled(&rows.iter().map(value).collect::<Vec<_>>(), 16);
    format!("        *[\n            {template}\n            for {variables} in [\n{values}            ]\n        ],\n")
}

/// Writes items of a list in lines that start at a column.
fn filled(items: &[String], column: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for item in items {
        match lines.last_mut().filter(|line| line.len() + item.len() + 2 <= WIDTH) {
            Some(line) => line.push_str(&format!(" {item},")),
            None => lines.push(format!("{:column$}{item},", "")),
        }
    }
    lines.join("\n") + "\n"
}

/// Writes a list of steps that starts at a column, and is followed by a comma.
fn steps(steps: &[String], column: usize) -> String {
    let line = format!("[{}]", steps.join(", "));
    // A key may come before it.
    if column + line.len() + 12 <= WIDTH {
        return line;
    }
    let steps: String = steps.iter().map(|step| format!("{:column$}    {step},\n", "")).collect();
    format!("[\n{steps}{:column$}]", "")
}

fn texts(calls: &[Call]) -> Vec<String> {
    calls.iter().map(text).collect()
}

fn text(call: &Call) -> String {
    let arguments: Vec<String> = call.arguments.iter().map(|(name, value)| format!(r#""{name}": {value}"#)).collect();
    format!(r#"("{}", {}, {{{}}})"#, call.op, number(call.probability), arguments.join(", "))
}

fn call(probability: f64, transform: &Transform) -> Call {
    let certain = |op, arguments| Call { op, probability, arguments };
    let plain = |op, name, draw| certain(op, vec![(name, value(draw))]);
    let sometimes = |op, p| Call { op, probability: probability * p, arguments: Vec::new() };
    match *transform {
        Transform::Crop(cut, Unit::Pixels) => certain("crop", vec![("pixels", several(cut, 4))]),
        Transform::Crop(cut, Unit::Side) => certain("crop", vec![("parts", several(cut, 4))]),
        Transform::GaussianBlur(sigma, Unit::Pixels) => plain("gaussian_blur", "sigma", sigma),
        Transform::GaussianBlur(part, Unit::Side) => plain("gaussian_blur", "part", part),
        Transform::Warp(how, fill) => {
            let (op, name, draw) = match how {
                Warp::Rotate(degrees) => ("rotate", "degrees", degrees),
                Warp::Shear(degrees) => ("shear", "degrees", degrees),
                Warp::TranslateX(part) => ("translate", "x", part),
                Warp::TranslateY(part) => ("translate", "y", part),
                Warp::Zoom(factor) => ("zoom", "factor", factor),
                Warp::Swirl(radians) => ("swirl", "radians", radians),
                Warp::Elastic(part) => ("elastic", "part", part),
            };
            let edge = (fill == Fill::Edge).then(|| ("edge", "True".to_string()));
            certain(op, std::iter::once((name, value(draw))).chain(edge).collect())
        }
        Transform::Sharpen { alpha, lightness } => {
            certain("sharpen", vec![("alpha", value(alpha)), ("lightness", value(lightness))])
        }
        Transform::Emboss { alpha, strength } => {
            certain("emboss", vec![("alpha", value(alpha)), ("strength", value(strength))])
        }
        Transform::AdditiveGaussianNoise(sd) => plain("gaussian_noise", "sd", sd),
        Transform::Dropout(p) => plain("dropout", "p", p),
        Transform::CoarseDropout(p, grid) => certain("coarse_dropout", vec![("p", value(p)), cells(grid)]),
        Transform::CoarseSaltPepper(p, grid) => certain("coarse_salt_pepper", vec![("p", value(p)), cells(grid)]),
        Transform::GammaContrast(Distribution::Power { base, most }) => {
            certain("gamma_contrast", vec![("gamma", number(base)), ("exponent", value(Distribution::within(most)))])
        }
        Transform::GammaContrast(gamma) => plain("gamma_contrast", "gamma", gamma),
        Transform::Brighten(added) => certain("brighten", vec![("added", several(added, 3))]),
        Transform::Invert(p) => sometimes("invert", p),
        Transform::Fog(opacity) => certain("fog", vec![("opacity", number(opacity))]),
        Transform::Clouds(opacity) => certain("clouds", vec![("opacity", number(opacity))]),
        Transform::AddToHueAndSaturation { shift, shared: true } => plain("hue_and_saturation", "both", shift),
        Transform::AddToHueAndSaturation { shift, shared: false } => {
            certain("hue_and_saturation", vec![("shifts", several(shift, 2))])
        }
        Transform::HorizontalFlip(p) => sometimes("horizontal_flip", p),
        Transform::VerticalFlip(p) => sometimes("vertical_flip", p),
        Transform::ShearX(slope) => plain("shear_nearest", "x", slope),
        Transform::ShearY(slope) => plain("shear_nearest", "y", slope),
        Transform::TranslateXNearest(shift, Unit::Side) => plain("translate_nearest", "x", shift),
        Transform::TranslateYNearest(shift, Unit::Side) => plain("translate_nearest", "y", shift),
        Transform::TranslateXNearest(shift, Unit::Pixels) => plain("translate_nearest", "pixels_x", shift),
        Transform::TranslateYNearest(shift, Unit::Pixels) => plain("translate_nearest", "pixels_y", shift),
        Transform::RotateNearest(degrees) => plain("rotate_nearest", "degrees", degrees),
        Transform::AutoContrast(p) => sometimes("auto_contrast", p),
        Transform::Equalize(p) => sometimes("equalize", p),
        Transform::Solarize(threshold) => plain("solarize", "threshold", threshold),
        Transform::Posterize(bits) => plain("posterize", "bits", bits),
        Transform::Contrast(factor) => plain("contrast", "factor", factor),
        Transform::Saturation(factor) => plain("saturation", "factor", factor),
        Transform::Brightness(factor) => plain("brightness", "factor", factor),
        Transform::Sharpness(factor) => plain("sharpness", "factor", factor),
        Transform::Cutout(part) => plain("cutout", "part", part),
        Transform::Erode(weight) => plain("erode", "weight", weight),
        Transform::Dilate(weight) => plain("dilate", "weight", weight),
        Transform::Hue(shift) => certain("hue_and_saturation", vec![("shifts", format!("({}, [0.0])", listed(shift)))]),
        Transform::SamplePairing(_) => unreachable!("every library refuses the op"),
    }
}

/// Writes rows and columns.
fn cells(grid: Grid) -> (&'static str, String) {
    match grid {
        Grid::Cells(cells) => ("cells", several(cells, 2)),
        Grid::OfSide(part) => ("parts", several(part, 2)),
    }
}

/// Writes a number, or what it is drawn from.
fn value(draw: Distribution) -> String {
    match draw {
        Distribution::Fixed(value) => number(value),
        Distribution::Between(fixed, _) => {
            ends(draw).map_or_else(|| number(fixed), |(low, high)| format!("({low}, {high})"))
        }
        Distribution::Whole(low, high) => format!("range({low}, {})", high + 1),
        Distribution::Either(a, b) if a == b => number(a),
        Distribution::Either(a, b) => format!("[{}, {}]", number(a.min(b)), number(a.max(b))),
        Distribution::Power { .. } => unreachable!("only a gamma is drawn so"),
    }
}

/// Writes several numbers, each drawn by itself.
fn several(draw: Distribution, count: usize) -> String {
    format!("{count} * ({},)", listed(draw))
}

/// Writes one of several numbers: a pair of numbers alone is a range to draw from.
fn listed(draw: Distribution) -> String {
    let one = value(draw);
    if one.starts_with(['(', '[', 'r']) { one } else { format!("[{one}]") }
}
