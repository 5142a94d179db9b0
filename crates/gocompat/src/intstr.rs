//! Kubernetes' "number or string" values, and how many pods a percentage means.

use serde_json::Value;

/// What an `IntOrString` field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntOrString {
    /// A whole number.
    Int(i32),
    /// Any text; a percentage where it ends in `%`.
    Text(String),
}

/// Why a value is not a count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidIntOrString(String);

impl std::fmt::Display for InvalidIntOrString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidIntOrString {}

impl IntOrString {
    /// Reads the field from JSON. `None` for null, and for what is neither a whole 32-bit number nor a string.
    pub fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Number(number) => {
                whole_number(number).and_then(|whole| i32::try_from(whole).ok()).map(Self::Int)
            }
            _ => None,
        }
    }

    /// The number itself, or a text read as one, as Go's `IntValue` does: what cannot be read is 0.
    pub fn int_value(&self) -> i32 {
        match self {
            Self::Int(number) => *number,
            Self::Text(text) => text.parse().unwrap_or(0),
        }
    }

    /// A count out of `total`: numbers as they are, percentages scaled and rounded up or down.
    ///
    /// # Errors
    /// When the text is no percentage; the words are those of `GetScaledValueFromIntOrPercent`.
    pub fn scaled(&self, total: i32, round_up: bool) -> Result<i32, InvalidIntOrString> {
        let text = match self {
            Self::Int(number) => return Ok(*number),
            Self::Text(text) => text,
        };
        let invalid = |problem: &str| {
            InvalidIntOrString(format!("invalid value for IntOrString: invalid type: {problem}"))
        };
        let Some(number) = text.strip_suffix('%') else {
            return Err(invalid("string is not a percentage"));
        };
        let percent: i64 = number.parse().map_err(|_| {
            InvalidIntOrString(format!(
                "invalid value for IntOrString: invalid value {}: strconv.Atoi: parsing {}: invalid syntax",
                crate::quote::quote(text),
                crate::quote::quote(number)
            ))
        })?;
        let product = percent.saturating_mul(i64::from(total));
        let rounded = if round_up {
            product.div_euclid(100) + i64::from(product.rem_euclid(100) != 0)
        } else {
            product.div_euclid(100)
        };
        Ok(rounded.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32)
    }
}

impl std::fmt::Display for IntOrString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A JSON number as a whole one: `3`, and `3.0` too, which some writers make of it.
pub fn whole_number(number: &serde_json::Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9.0e18).map(|float| float as i64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn percentages_round_as_asked() {
        let quarter = IntOrString::from_json(&json!("25%")).unwrap();
        assert_eq!(quarter.scaled(10, true), Ok(3));
        assert_eq!(quarter.scaled(10, false), Ok(2));
        assert_eq!(IntOrString::Int(4).scaled(10, true), Ok(4));
        assert_eq!(IntOrString::from_json(&json!(2.0)), Some(IntOrString::Int(2)));
        assert_eq!(IntOrString::from_json(&json!(null)), None);
    }

    #[test]
    fn what_is_no_percentage_is_refused_in_the_known_words() {
        for (text, want) in [
            ("3", "invalid value for IntOrString: invalid type: string is not a percentage"),
            (
                "x%",
                r#"invalid value for IntOrString: invalid value "x%": strconv.Atoi: parsing "x": invalid syntax"#,
            ),
        ] {
            let value = IntOrString::Text(text.to_owned());
            assert_eq!(value.scaled(10, true).unwrap_err().to_string(), want);
        }
    }
}
