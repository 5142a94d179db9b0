//! Quantities in their canonical form: `0.5` is `500m`, `1024Mi` is `1Gi`, `1000m` is `1`.

/// The canonical form, or `None` when the text is no quantity.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(digits);
    if number.is_empty() || number == "." || number.matches('.').count() > 1 || number.len() > 18 {
        return None;
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = i32::try_from(fraction.len()).ok()?;
    if let Some(power) = BINARY.iter().position(|one| *one == suffix) {
        return Some(format!("{sign}{}", binary(mantissa, scale, power)?));
    }
    let exponent = match DECIMAL.iter().find(|(name, _)| *name == suffix) {
        Some((_, exponent)) => *exponent,
        None => suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok().filter(|e| e.abs() <= 18)?,
    };
    let written_with_e = suffix.starts_with(['e', 'E']) && suffix.len() > 1;
    Some(format!("{sign}{}", decimal(mantissa, exponent - scale, written_with_e)))
}

const BINARY: &[&str] = &["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: &[(&str, i32)] = &[
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

fn binary(mantissa: i128, scale: i32, power: usize) -> Option<String> {
    let factor = 1024_i128.checked_pow(u32::try_from(power).ok()? + 1)?;
    let divisor = 10_i128.checked_pow(u32::try_from(scale).ok()?)?;
    let product = mantissa.checked_mul(factor)?;
    if product % divisor != 0 {
        // A fraction of a byte: shown with decimal suffixes.
        return Some(decimal(product, -scale, false));
    }
    let mut value = product / divisor;
    if value == 0 {
        return Some("0".into());
    }
    let mut steps = 0;
    while value % 1024 == 0 && steps < BINARY.len() {
        value /= 1024;
        steps += 1;
    }
    Some(match steps {
        0 => value.to_string(),
        steps => format!("{value}{}", BINARY[steps - 1]),
    })
}

fn decimal(mut mantissa: i128, mut exponent: i32, written_with_e: bool) -> String {
    if mantissa == 0 {
        return "0".into();
    }
    while mantissa % 10 == 0 {
        mantissa /= 10;
        exponent += 1;
    }
    // Nothing finer than nano: rounded up, as in Go.
    while exponent < -9 {
        mantissa = (mantissa + 9).div_euclid(10);
        exponent += 1;
    }
    let step = exponent.div_euclid(3) * 3;
    let shown = mantissa * 10_i128.pow(u32::try_from(exponent - step).unwrap_or(0));
    if written_with_e {
        return if step == 0 { shown.to_string() } else { format!("{shown}e{step}") };
    }
    match DECIMAL.iter().find(|(_, exponent)| *exponent == step) {
        Some((suffix, _)) => format!("{shown}{suffix}"),
        None => format!("{shown}e{step}"),
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn quantities_are_printed_as_go_prints_them() {
        let table = [
            ("0.5", "500m"),
            ("500m", "500m"),
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("100", "100"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("0", "0"),
            ("128Mi", "128Mi"),
            ("1e3", "1e3"),
            ("-1.5", "-1500m"),
            ("0.1", "100m"),
            ("64M", "64M"),
        ];
        for (text, expected) in table {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
        for wrong in ["", "x", "1.2.3", "1Zi", ".", "1 Gi"] {
            assert_eq!(canonical(wrong), None, "{wrong}");
        }
    }
}
