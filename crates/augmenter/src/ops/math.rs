//! Powers in a form that compilers vectorise.

/// Returns 2^x with a relative error below 1e-13, for x between -1022 and 1000; x is clamped to that range.
#[inline(always)]
pub(super) fn exp2(x: f64) -> f64 {
    // ln(2)^k / k!, whose remainder at 1/2 is below 1e-14.
    const TERMS: [f64; 12] = [
        1.0,
        std::f64::consts::LN_2,
        0.2402265069591007,
        0.05550410866482158,
        0.009618129107628477,
        0.0013333558146428443,
        0.0001540353039338161,
        1.5252733804059841e-5,
        1.3215486790144307e-6,
        1.01780860092397e-7,
        7.054911620801123e-9,
        4.445538271870811e-10,
    ];
    let x = if x > -1022.0 { x } else { -1022.0 };
    let x = if x < 1000.0 { x } else { 1000.0 };
    let whole = x.round_ties_even();
    let part = x - whole;
    let mut sum = TERMS[11];
    for k in (0..11).rev() {
        sum = sum * part + TERMS[k];
    }
    // SAFETY: between -1022 and 1000.
    let whole = unsafe { whole.to_int_unchecked::<i32>() };
    sum * f64::from_bits(((i64::from(whole) + 1023) as u64) << 52)
}

/// Returns the base-2 logarithm of a positive normal number, with an absolute error below 1e-6; about -127 for 0.
#[inline(always)]
pub(super) fn log2(x: f32) -> f32 {
    // The mantissa is scaled to between the roots of 1/2 and 2, where the series of the inverse hyperbolic tangent
    // is short.
    const ROOT_HALF: u32 = 0x3f35_04f3;
    let bits = x.to_bits();
    let exponent = (bits.wrapping_sub(ROOT_HALF) as i32) >> 23;
    let mantissa = f32::from_bits(bits.wrapping_sub((exponent << 23) as u32));
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let s = t * t;
    let series = 1.0 + s * (1.0 / 3.0 + s * (1.0 / 5.0 + s * (1.0 / 7.0 + s * (1.0 / 9.0))));
    exponent as f32 + 2.0 * std::f32::consts::LOG2_E * t * series
}

/// Returns the integer part, clamped to the range of a byte; 0 for NaN.
#[inline(always)]
pub(super) fn byte(x: f32) -> u8 {
    let x = if x > 0.0 { x } else { 0.0 };
    let x = if x < 255.0 { x } else { 255.0 };
    // SAFETY: between 0 and 255. The checked conversion is several times as slow.
    unsafe { x.to_int_unchecked::<i32>() as u8 }
}

/// Does the same as [`byte`] with twice as many digits.
#[inline(always)]
pub(super) fn byte_of_f64(x: f64) -> u8 {
    let x = if x > 0.0 { x } else { 0.0 };
    let x = if x < 255.0 { x } else { 255.0 };
    // SAFETY: between 0 and 255.
    unsafe { x.to_int_unchecked::<i32>() as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_and_logarithms_are_those_of_the_standard_library() {
        for i in -4000..4000 {
            let x = f64::from(i) / 100.0 + 0.003;
            assert!((exp2(x) / x.exp2() - 1.0).abs() < 1e-13, "{x}");
            let x = (x as f32).exp2();
            assert!((log2(x) - x.log2()).abs() < 1e-5, "{x}: {} {}", log2(x), x.log2());
        }
        let bytes = [-1.0, 0.99, 1.0, 254.9, 255.0, 1e9, f32::NAN, f32::INFINITY].map(byte);
        assert_eq!(bytes, [0, 0, 1, 254, 255, 255, 0, 255]);
        assert_eq!(exp2(f64::NEG_INFINITY), f64::MIN_POSITIVE);
        assert!(log2(0.0) < -120.0);
    }
}
