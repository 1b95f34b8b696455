use twox_hash::xxhash3_128::Hasher;

/// What results were computed from: named hashes, in the order in which they are
/// to be told of. Where a file is taken up again, they say whether data and
/// arguments are the same, and which are not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fingerprint(Vec<(String, u128)>);

/// A piece of what is hashed. Its type and length count, so that neither `[1, 2]`
/// and `[3]` nor integers and numbers are taken for each other.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    F64(&'a [f64]),
    I32(&'a [i32]),
    Index(&'a [usize]),
    U8(&'a [u8]),
    Text(&'a str),
}

impl Fingerprint {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the hash of `parts` under `name`.
    #[must_use]
    pub fn with(mut self, name: &str, parts: &[Part]) -> Self {
        self.0.push((name.to_owned(), hash_of(parts)));
        self
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, u128)> {
        self.0.iter().map(|(name, hash)| (name.as_str(), *hash))
    }

    pub(super) fn from_entries(entries: Vec<(String, u128)>) -> Self {
        Self(entries)
    }

    /// The names of what is not the same in both, in the order of `self`.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let of = |hashes: &Self, name: &str| {
            hashes.entries().find(|(entry, _)| *entry == name).map(|(_, hash)| hash)
        };
        let new = other.entries().filter(|(name, _)| of(self, name).is_none());
        (self.entries().filter(|(name, hash)| of(other, name) != Some(*hash)))
            .chain(new)
            .map(|(name, _)| name.to_owned())
            .collect()
    }
}

pub(super) fn hash_of(parts: &[Part]) -> u128 {
    let mut hasher = Hasher::new();
    for part in parts {
        part.feed(&mut hasher);
    }
    hasher.finish_128()
}

impl Part<'_> {
    /// In little-endian order on every machine.
    fn feed(&self, hasher: &mut Hasher) {
        match *self {
            Part::F64(values) => feed_values(hasher, 0, values, f64::to_le_bytes),
            Part::I32(values) => feed_values(hasher, 1, values, i32::to_le_bytes),
            Part::Index(values) => feed_values(hasher, 2, values, |i| (i as u64).to_le_bytes()),
            Part::U8(values) => feed_values(hasher, 3, values, u8::to_le_bytes),
            Part::Text(text) => feed_values(hasher, 4, text.as_bytes(), u8::to_le_bytes),
        }
    }
}

fn feed_values<T: Copy, const N: usize>(
    hasher: &mut Hasher,
    tag: u8,
    values: &[T],
    to_bytes: impl Fn(T) -> [u8; N],
) {
    hasher.write(&[tag]);
    hasher.write(&(values.len() as u64).to_le_bytes());
    let mut buffer = [0; 4096];
    for some in values.chunks(buffer.len() / N) {
        for (bytes, &value) in buffer.chunks_exact_mut(N).zip(some) {
            bytes.copy_from_slice(&to_bytes(value));
        }
        hasher.write(&buffer[..N * some.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_and_borders_of_what_is_hashed_count() {
        let all = [
            hash_of(&[]),
            hash_of(&[Part::F64(&[])]),
            hash_of(&[Part::F64(&[1.0, 2.0])]),
            hash_of(&[Part::F64(&[1.0]), Part::F64(&[2.0])]),
            hash_of(&[Part::F64(&[2.0]), Part::F64(&[1.0])]),
            hash_of(&[Part::I32(&[1, 2])]),
            hash_of(&[Part::Index(&[1, 2])]),
            hash_of(&[Part::U8(b"ab")]),
            hash_of(&[Part::Text("ab")]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b), "{i}");
        }
    }

    #[test]
    fn long_input_is_hashed_to_the_end() {
        let mut values: Vec<f64> = (0..3000).map(f64::from).collect();
        let before = hash_of(&[Part::F64(&values)]);
        assert_eq!(before, hash_of(&[Part::F64(&values.clone())]));
        values[2999] += 1.0;
        assert_ne!(before, hash_of(&[Part::F64(&values)]));
    }

    /// Files outlive releases and move between machines.
    #[test]
    fn a_hash_stays_what_it_was() {
        let mut plain = Vec::new();
        for (tag, length, bytes) in [(0_u8, 2_u64, &1.5_f64.to_le_bytes()[..]), (4, 1, b"a")] {
            plain.push(tag);
            plain.extend(length.to_le_bytes());
            plain.extend(bytes);
            if tag == 0 {
                plain.extend((-2.0_f64).to_le_bytes());
            }
        }
        assert_eq!(hash_of(&[Part::F64(&[1.5, -2.0]), Part::Text("a")]), Hasher::oneshot(&plain));
    }

    #[test]
    fn differences_are_named_in_order() {
        let old = Fingerprint::new()
            .with("counts", &[Part::I32(&[1])])
            .with("formula", &[Part::Text("~ x")])
            .with("threads", &[]);
        let new = Fingerprint::new()
            .with("formula", &[Part::Text("~ y")])
            .with("counts", &[Part::I32(&[2])])
            .with("pairs", &[]);
        assert_eq!(new.differences(&old), ["formula", "counts", "pairs", "threads"]);
        assert!(old.differences(&old.clone()).is_empty());
    }
}
