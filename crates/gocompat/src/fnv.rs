//! The 32-bit FNV-1a checksum and the digits Kubernetes prints it with.

const OFFSET: u32 = 2_166_136_261;
const PRIME: u32 = 16_777_619;

/// The characters a name may carry without ever spelling a word (Kubernetes' safe alphabet).
const SAFE_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// FNV-1a over `bytes`: exclusive-or first, then multiply.
pub fn fnv1a_32(bytes: &[u8]) -> u32 {
    fnv1a_32_from(OFFSET, bytes)
}

/// Continues a checksum over further bytes, as writing twice to one Go hash does.
pub fn fnv1a_32_from(state: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(state, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(PRIME))
}

/// Maps every byte of `text` into the safe alphabet, as Kubernetes' `SafeEncodeString` does.
pub fn safe_encode(text: &str) -> String {
    text.bytes().map(|byte| char::from(SAFE_ALPHABET[usize::from(byte) % SAFE_ALPHABET.len()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_matches_the_published_vectors() {
        for (text, want) in [("", 0x811c_9dc5), ("a", 0xe40c_292c), ("foobar", 0xbf9c_f968)] {
            assert_eq!(fnv1a_32(text.as_bytes()), want, "{text:?}");
        }
    }

    #[test]
    fn every_decimal_digit_has_its_safe_character_r232() {
        assert_eq!(safe_encode("0123456789"), "456789bcdf");
    }

    #[test]
    fn a_checksum_continued_equals_one_over_both_parts() {
        assert_eq!(fnv1a_32_from(fnv1a_32(b"foo"), b"bar"), fnv1a_32(b"foobar"));
    }
}
