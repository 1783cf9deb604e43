//! Element-wise operations of one child.

use crate::engine::{dropout_threshold, hash};
use crate::optimiser::{BETA1, BETA2, EPSILON, RHO, Update, UpdateRule};
use deepaug_simd::for_every_instruction_set;

for_every_instruction_set! {
    pub(super) fn dropout(values: &mut [f32], rate: f32, key: u32) {
        let (threshold, scale) = (dropout_threshold(rate), 1.0 / (1.0 - rate));
        for (place, value) in values.iter_mut().enumerate() {
            let kept = hash(place as u32, key) >> 8 >= threshold;
            *value = if kept { *value * scale } else { 0.0 };
        }
    }
}

for_every_instruction_set! {
    pub(super) fn add(a: &mut [f32], b: &[f32]) {
        a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    }
}

for_every_instruction_set! {
    pub(super) fn blend(a: &mut [f32], b: &[f32], keep: f32) {
        a.iter_mut().zip(b).for_each(|(a, b)| *a = *a * keep + b * (1.0 - keep));
    }
}

for_every_instruction_set! {
    /// Applies a linear map to pixels: a factor and an offset.
    pub(super) fn scale_pixels(pixels: &[u8], line: [f32; 2], to: &mut [f32]) {
        let [factor, summand] = line;
        to.iter_mut().zip(pixels).for_each(|(to, pixel)| *to = f32::from(*pixel) * factor + summand);
    }
}

for_every_instruction_set! {
    pub(super) fn add_scaled_pixels(pixels: &[u8], line: [f32; 2], to: &mut [f32]) {
        let [factor, summand] = line;
        to.iter_mut().zip(pixels).for_each(|(to, pixel)| *to += f32::from(*pixel) * factor + summand);
    }
}

/// Applies one optimiser step to one child's parameter; `slots` are the rule's memories.
pub(super) fn update(parameter: &mut [f32], gradient: &[f32], slots: [&mut [f32]; 2], update: &Update) {
    let scale = match update.clip_norm {
        limit if limit > 0.0 => {
            let squares: f64 = gradient.iter().map(|g| f64::from(*g) * f64::from(*g)).sum();
            (limit / squares.sqrt() as f32).min(1.0)
        }
        _ => 1.0,
    };
    let [first, second] = slots;
    let Update { rate, weight_decay, .. } = *update;
    match update.rule {
        UpdateRule::RmsProp => rms_prop(parameter, gradient, first, scale, rate, weight_decay),
        UpdateRule::Adam => adam(parameter, gradient, first, second, scale, rate, weight_decay),
        UpdateRule::Sgd { momentum: 0.0 } => {
            let step = parameter.iter_mut().zip(gradient);
            step.for_each(|(p, g)| *p -= rate * (g * scale + weight_decay * *p));
        }
        UpdateRule::Sgd { momentum } => nesterov(parameter, gradient, first, scale, rate, weight_decay, momentum),
    }
}

for_every_instruction_set! {
    fn rms_prop(p: &mut [f32], g: &[f32], mean: &mut [f32], scale: f32, rate: f32, decay: f32) {
        for ((p, g), mean) in p.iter_mut().zip(g).zip(mean) {
            let g = g * scale + decay * *p;
            *mean = RHO * *mean + (1.0 - RHO) * g * g;
            *p -= rate * g / (mean.sqrt() + EPSILON);
        }
    }
}

for_every_instruction_set! {
    fn adam(p: &mut [f32], g: &[f32], first: &mut [f32], second: &mut [f32], scale: f32, rate: f32, decay: f32) {
        for (((p, g), first), second) in p.iter_mut().zip(g).zip(first).zip(second) {
            let g = g * scale + decay * *p;
            *first = BETA1 * *first + (1.0 - BETA1) * g;
            *second = BETA2 * *second + (1.0 - BETA2) * g * g;
            *p -= rate * *first / (second.sqrt() + EPSILON);
        }
    }
}

for_every_instruction_set! {
    fn nesterov(p: &mut [f32], g: &[f32], speed: &mut [f32], scale: f32, rate: f32, decay: f32, momentum: f32) {
        for ((p, g), speed) in p.iter_mut().zip(g).zip(speed) {
            let g = g * scale + decay * *p;
            *speed = momentum * *speed + g;
            *p -= rate * (g + momentum * *speed);
        }
    }
}

/// Computes the softmax cross-entropy of one child's logits `[images, classes]`: the gradient of the mean over the
/// images that count, the sum of losses, and the number of images whose heaviest class is predicted. `rows`
/// `[images, 3]` gets the same for each image, for targets with a sum of 1, and the entropy of its probabilities; it is
/// left unchanged where an image does not count. `entropy` times that entropy is part of what the gradient is of.
pub(super) fn cross_entropy(
    logits: &[f32],
    targets: &[f32],
    classes: usize,
    entropy: f32,
    gradient: &mut [f32],
    rows: &mut [f32],
) -> [f32; 2] {
    let count = (logits.len() / classes) as f32;
    let (mut loss, mut right) = (0.0, 0.0);
    let images_in = logits.chunks_exact(classes).zip(targets.chunks_exact(classes));
    let images_out = gradient.chunks_exact_mut(classes).zip(rows.chunks_exact_mut(3));
    for ((logits, targets), (gradient, row)) in images_in.zip(images_out) {
        // A row without weights only pads the batch.
        let weight: f32 = targets.iter().sum();
        if weight == 0.0 {
            gradient.fill(0.0);
            continue;
        }
        let most = first_greatest(logits);
        let greatest = logits[most];
        gradient.iter_mut().zip(logits).for_each(|(g, logit)| *g = (logit - greatest).exp());
        let total: f32 = gradient.iter().sum();
        let log_total = total.ln() + greatest;
        let below = logits.iter().map(|logit| logit - greatest);
        let of_probabilities = total.ln() - gradient.iter().zip(below).map(|(g, below)| g * below).sum::<f32>() / total;
        let of_row = targets.iter().zip(logits).map(|(target, logit)| target * (log_total - logit)).sum::<f32>();
        let is_right = f32::from(u8::from(most == first_greatest(targets)));
        row.copy_from_slice(&[of_row / weight, is_right, of_probabilities]);
        loss += of_row;
        right += is_right;
        if entropy == 0.0 {
            gradient.iter_mut().zip(targets).for_each(|(g, target)| *g = (*g * weight / total - target) / count);
        } else {
            for ((g, target), logit) in gradient.iter_mut().zip(targets).zip(logits) {
                let (probability, log) = (*g / total, logit - log_total);
                let of_entropy = -probability * (log + of_probabilities);
                *g = (weight * (probability + entropy * of_entropy) - target) / count;
            }
        }
    }
    [loss, right]
}

fn first_greatest(values: &[f32]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}
