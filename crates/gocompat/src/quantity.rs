//! Kubernetes resource quantities: `100m`, `1.5Gi`, `1e3`.
//!
//! A quantity is kept exactly, as decimal digits and a power of ten, so that no input is too long or too large.
//! [`Quantity::canonical`] prints what a Go program prints after reading it.

use std::cmp::Ordering;

/// The smallest step a quantity has: anything finer is rounded up (away from zero).
const NANO: i64 = -9;
/// Go's fast path holds this many digits; what it holds it may hand back as it was written.
const FAST_DIGITS: usize = 18;

/// The family of suffixes a quantity was written with, which is kept when it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    DecimalExponent,
    BinarySi,
    DecimalSi,
}

/// A text that is no quantity; the words are Kubernetes' own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseQuantityError {
    /// It does not look like a number with a suffix.
    Format,
    /// The number cannot be read.
    Numeric,
    /// The suffix is none of the known ones.
    Suffix,
}

impl std::fmt::Display for ParseQuantityError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Format => {
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            }
            Self::Numeric => "unable to parse numeric part of quantity",
            Self::Suffix => "unable to parse quantity's suffix",
        })
    }
}

impl std::error::Error for ParseQuantityError {}

/// An exact amount: `digits × 10^exponent`, negative or not. No leading zeros; zero has no digits.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Amount {
    negative: bool,
    digits: Vec<u8>,
    /// Wide enough for every exponent that can be written and every digit beside it.
    exponent: i64,
}

/// A parsed quantity.
#[derive(Debug, Clone)]
pub struct Quantity {
    amount: Amount,
    format: Format,
    /// The text as it was written, where Go keeps it instead of printing a canonical form.
    kept: Option<String>,
}

/// What the scanner found: the pieces of the text before they mean anything.
struct Pieces<'a> {
    negative: bool,
    numerator: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

fn scan(text: &str) -> Result<Pieces<'_>, ParseQuantityError> {
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let rest = rest.trim_start_matches('0');
    let split = |text: &str, keep: fn(char) -> bool| text.find(|c| !keep(c)).unwrap_or(text.len());
    let is_digit = |c: char| c.is_ascii_digit();
    let (numerator, rest) = rest.split_at(split(rest, is_digit));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(split(rest, is_digit)),
        None => ("", rest),
    };
    let letters = split(rest, |c| "eEinumkKMGTP".contains(c));
    let after_letters = &rest[letters..];
    let after_sign = after_letters.strip_prefix(['-', '+']).unwrap_or(after_letters);
    if !after_sign.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ParseQuantityError::Format);
    }
    Ok(Pieces {
        negative,
        numerator: if numerator.is_empty() { "0" } else { numerator },
        fraction,
        suffix: rest,
    })
}

/// The exponent a suffix stands for, of ten or (binary) of two.
fn interpret_suffix(suffix: &str) -> Result<(Format, i32), ParseQuantityError> {
    let decimal = |exponent| Ok((Format::DecimalSi, exponent));
    let binary = |exponent| Ok((Format::BinarySi, exponent));
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let digits = suffix.strip_prefix(['e', 'E']).ok_or(ParseQuantityError::Suffix)?;
            let exponent: i64 = digits.parse().map_err(|_| ParseQuantityError::Suffix)?;
            // Go keeps the low 32 bits, whatever that makes of the number.
            Ok((Format::DecimalExponent, exponent as i32))
        }
    }
}

fn suffix_for(format: Format, exponent: i32) -> String {
    let known = match (format, exponent) {
        (Format::DecimalExponent, 0) => "",
        (Format::DecimalExponent, _) => return format!("e{exponent}"),
        (Format::DecimalSi, -9) => "n",
        (Format::DecimalSi, -6) => "u",
        (Format::DecimalSi, -3) => "m",
        (Format::DecimalSi, 3) => "k",
        (Format::DecimalSi, 6) => "M",
        (Format::DecimalSi, 9) => "G",
        (Format::DecimalSi, 12) => "T",
        (Format::DecimalSi, 15) => "P",
        (Format::DecimalSi, 18) => "E",
        (Format::BinarySi, 10) => "Ki",
        (Format::BinarySi, 20) => "Mi",
        (Format::BinarySi, 30) => "Gi",
        (Format::BinarySi, 40) => "Ti",
        (Format::BinarySi, 50) => "Pi",
        (Format::BinarySi, 60) => "Ei",
        // Beyond the table Go prints no suffix at all, and loses the magnitude. Hashes depend on it.
        _ => "",
    };
    known.to_owned()
}

impl Amount {
    fn new(negative: bool, numerator: &str, fraction: &str, exponent: i64) -> Self {
        let digits: Vec<u8> = numerator
            .bytes()
            .chain(fraction.bytes())
            .map(|b| b - b'0')
            .skip_while(|digit| *digit == 0)
            .collect();
        Self { negative, digits, exponent: exponent - fraction.len() as i64 }.normal()
    }

    /// The same amount with no zeros at the end, so that equal amounts are equal values.
    fn normal(mut self) -> Self {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
            self.exponent += 1;
        }
        if self.digits.is_empty() {
            (self.negative, self.exponent) = (false, 0);
        }
        self
    }

    fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// Rounds away from zero to a multiple of `10^lowest`.
    fn rounded_up(mut self, lowest: i64) -> Self {
        if self.exponent >= lowest || self.is_zero() {
            return self;
        }
        let dropped = lowest - self.exponent;
        // A normal amount ends in a digit that is not zero, so something is always lost here.
        let left = (self.digits.len() as i64 - dropped).max(0);
        self.digits.truncate(left as usize);
        self.exponent = lowest;
        add_one(&mut self.digits);
        self.normal()
    }

    fn doubled(mut self, times: i32) -> Self {
        for _ in 0..times {
            let mut carry = 0;
            for digit in self.digits.iter_mut().rev() {
                let sum = *digit * 2 + carry;
                (*digit, carry) = (sum % 10, sum / 10);
            }
            if carry > 0 {
                self.digits.insert(0, carry);
            }
        }
        self.normal()
    }

    fn compare_magnitude(&self, other: &Self) -> Ordering {
        let top = |amount: &Self| amount.digits.len() as i64 + amount.exponent;
        match (self.is_zero(), other.is_zero()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // Normal amounts of one height compare like words.
            (false, false) => top(self).cmp(&top(other)).then_with(|| self.digits.cmp(&other.digits)),
        }
    }

    fn whole(number: u64) -> Self {
        Self::new(false, &number.to_string(), "", 0)
    }

    /// The magnitude as a whole number, if it is one that fits.
    fn to_u64(&self) -> Option<u64> {
        if self.exponent < 0 {
            return None;
        }
        let mut value: u64 = 0;
        for digit in &self.digits {
            value = value.checked_mul(10)?.checked_add(u64::from(*digit))?;
        }
        if value == 0 {
            return Some(0);
        }
        10u64.checked_pow(u32::try_from(self.exponent).ok()?)?.checked_mul(value)
    }
}

fn add_one(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return;
        }
        *digit = 0;
    }
    digits.insert(0, 1);
}

impl Quantity {
    /// Parses a quantity as Kubernetes does: finer than nano rounds up, binary amounts are capped at 2^63-1.
    ///
    /// # Errors
    /// When the text is no quantity.
    pub fn parse(text: &str) -> Result<Self, ParseQuantityError> {
        if text.is_empty() {
            return Err(ParseQuantityError::Format);
        }
        let pieces = scan(text)?;
        let (mut format, exponent) = interpret_suffix(pieces.suffix)?;
        let kept = keeps_its_spelling(&pieces, format, exponent).then(|| text.to_owned());
        let decimal_exponent = if format == Format::BinarySi { 0 } else { i64::from(exponent) };
        let mut amount = Amount::new(pieces.negative, pieces.numerator, pieces.fraction, decimal_exponent);
        if format == Format::BinarySi {
            amount = amount.doubled(exponent);
        }
        amount = amount.rounded_up(NANO);
        if format == Format::BinarySi {
            let largest = Amount::whole(i64::MAX as u64);
            if amount.compare_magnitude(&largest) == Ordering::Greater {
                amount = Amount { negative: amount.negative, ..largest };
            }
            if !amount.is_zero() && amount.compare_magnitude(&Amount::whole(1)) == Ordering::Less {
                format = Format::DecimalSi;
            }
        }
        Ok(Self { amount, format, kept })
    }

    /// The text a Go program prints for it: canonical, except that some spellings Go takes for canonical already are
    /// handed back untouched (`1.500`, `+5`).
    pub fn canonical(&self) -> String {
        if let Some(kept) = &self.kept {
            return kept.clone();
        }
        if self.amount.is_zero() {
            return "0".to_owned();
        }
        let sign = if self.amount.negative { "-" } else { "" };
        if self.format == Format::BinarySi
            && self.amount.compare_magnitude(&Amount::whole(1024)) != Ordering::Less
            && let Some(mut whole) = self.amount.to_u64()
        {
            let mut exponent = 0;
            while whole.is_multiple_of(1024) {
                whole /= 1024;
                exponent += 10;
            }
            return format!("{sign}{whole}{}", suffix_for(Format::BinarySi, exponent));
        }
        let format = match self.format {
            Format::BinarySi => Format::DecimalSi,
            other => other,
        };
        // Go counts in 32 bits here too; only what lies beyond them is printed as something else.
        let exponent = self.amount.exponent as i32;
        let zeros = exponent.rem_euclid(3);
        let digits: String = self.amount.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        let suffix = suffix_for(format, exponent.wrapping_sub(zeros));
        format!("{sign}{digits}{}{suffix}", "0".repeat(zeros as usize))
    }

    /// A text that two quantities share exactly when they are the same amount, however written.
    pub fn amount_key(&self) -> String {
        let sign = if self.amount.negative { "-" } else { "" };
        let digits: String = self.amount.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        format!("{sign}{digits}e{}", self.amount.exponent)
    }

    /// The quantity rounded up to thousandths, as defaulting does with resource lists.
    #[must_use]
    pub fn rounded_up_to_milli(&self) -> Self {
        let amount = self.amount.clone().rounded_up(-3);
        let kept = self.kept.clone().filter(|_| amount == self.amount);
        Self { amount, format: self.format, kept }
    }

    /// The nearest float.
    pub fn to_f64(&self) -> f64 {
        // `amount_key` is a decimal float by construction, except that zero has no digits.
        self.amount_key().parse().unwrap_or(0.0)
    }
}

/// Whether Go's fast path takes this text for canonical already and keeps it. The rule is a guess about zeros and low
/// bits there, so `1.500` stays as it is while `0.5` becomes `500m`.
fn keeps_its_spelling(pieces: &Pieces<'_>, format: Format, exponent: i32) -> bool {
    let digits = format!("{}{}", pieces.numerator, pieces.fraction);
    match format {
        Format::BinarySi => {
            let room = 14 - i64::from(exponent) * 3 / 10;
            let Ok(value) = digits.parse::<i64>() else {
                return false;
            };
            pieces.fraction.is_empty() && pieces.numerator.len() as i64 <= room && value & 7 != 0
        }
        Format::DecimalSi | Format::DecimalExponent => {
            let scale = i64::from(exponent) - pieces.fraction.len() as i64;
            digits.len() <= FAST_DIGITS
                && scale >= NANO
                && scale % 3 == 0
                && !digits.ends_with("000")
                && !digits.starts_with('0')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_print_in_canonical_form_r234() {
        for (text, want) in [
            ("0", "0"),
            ("00", "0"),
            ("-0", "0"),
            ("0Mi", "0"),
            ("0.1", "100m"),
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Gi", "512Mi"),
            ("0.5", "500m"),
            ("1e3", "1e3"),
            ("1e4", "10e3"),
            ("1E3", "1E3"),
            ("100u", "100u"),
            ("0.1n", "1n"),
            ("1.5n", "2n"),
            ("-1.5n", "-2n"),
            ("2.50", "2500m"),
            ("1.500", "1.500"),
            ("+5", "+5"),
            ("1025Ki", "1025Ki"),
            ("1000Mi", "1000Mi"),
            ("1000", "1k"),
            ("2000k", "2M"),
            ("512", "512"),
            ("0.5Ki", "512"),
            ("1.1Ki", "1126400m"),
            ("0.0001Ki", "102400u"),
            ("16Ei", "9223372036854775807"),
            ("1000E", "1"),
            ("12345678901234567890", "12345678901234567890"),
            ("1e-3", "1e-3"),
            ("1e-12", "1e-9"),
        ] {
            assert_eq!(Quantity::parse(text).map(|q| q.canonical()).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "x", "1x", "1 ", "1.2.3", "1Kib", "e", "1e", "--1", "1e99999999999999999999"] {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn exponents_are_cut_to_32_bits_as_go_cuts_them_r234() {
        for (text, want) in [
            ("1000e100000000", "10e100000002"),
            ("10e100000002", "10e100000002"),
            ("1e2147483646", "1e2147483646"),
            ("15e2147483646", "15e2147483646"),
            ("1e4294967299", "1e4294967299"),
            ("1e4294967300", "10e3"),
            ("999e2147483647", "9990e2147483646"),
            ("1000e2147483647", "1e-2147483646"),
            // Go rounds this one up digit by digit, for longer than anybody waits.
            ("1e2147483648", "1e-9"),
        ] {
            assert_eq!(Quantity::parse(text).map(|q| q.canonical()).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn equal_amounts_share_a_key_however_written() {
        let key = |text: &str| Quantity::parse(text).unwrap().amount_key();
        assert_eq!(key("1024Mi"), key("1Gi"));
        assert_eq!(key("0.5"), key("500m"));
        assert_ne!(key("1G"), key("1Gi"));
        assert_eq!(Quantity::parse("100u").unwrap().rounded_up_to_milli().canonical(), "1m");
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_the_canonical_form_is_stable(text in "[-+]?[0-9.]{0,22}[eEinumkKMGTP]{0,2}[-+]?[0-9]{0,4}") {
            if let Ok(quantity) = Quantity::parse(&text) {
                let _ = (quantity.canonical(), quantity.to_f64(), quantity.rounded_up_to_milli());
            }
        }
    }
}
