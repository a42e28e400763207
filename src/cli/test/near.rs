//! What was probably meant by a name that is unknown.

/// The most letters by which a name may differ from what was meant.
const APART_MAX: usize = 3;

/// `; did you mean ...?` where something is near.
pub(super) fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let most = APART_MAX.min(name.chars().count() / 3 + 1);
    let near = known.map(|other| (apart(name, other), other)).filter(|(apart, _)| *apart <= most).min();
    near.map_or_else(String::new, |(_, other)| format!("; did you mean `{other}`?"))
}

/// How many letters must be put in, left out or changed to get from one to the other.
fn apart(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (place, one) in from.chars().enumerate() {
        let mut next = vec![place + 1];
        let mut left = place + 1;
        for (other, above) in to.iter().zip(row.windows(2)) {
            let &[diagonal, above] = above else { continue };
            left = (left + 1).min(above + 1).min(diagonal + usize::from(one != *other));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_what_was_meant() {
        for (from, to, letters) in [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0), ("ab", "ba", 2)] {
            assert_eq!(apart(from, to), letters, "{from} {to}");
        }
        let known = ["contoso-corp", "contoso-msp", "fabrikam"];
        assert_eq!(hint("contoso-crop", known.into_iter()), "; did you mean `contoso-corp`?");
        assert_eq!(hint("fabricam", known.into_iter()), "; did you mean `fabrikam`?");
        assert_eq!(hint("northwind", known.into_iter()), "");
    }
}
