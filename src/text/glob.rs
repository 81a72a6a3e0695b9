//! Shell patterns as Go's path matching has them (path.Match): `*`, `?`, sets `[a-z]`, and `\` before a character
//! that means itself.

/// Shell patterns as Go's path matching has them: `*` and `?` stop at a slash; `[a-z]`, `[^a]`, `\x`.
pub fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    glob_chars(&pattern, &text)
}

fn glob_chars(pattern: &[char], text: &[char]) -> bool {
    // Where to resume after the last `*`, which then matches one more character.
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            None if t == text.len() => return true,
            None => None,
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(_) => text.get(t).and_then(|c| one_char(&pattern[p..], *c)),
        };
        if let Some(used) = step {
            (p, t) = (p + used, t + 1);
            continue;
        }
        match retry {
            Some((after, taken)) if text.get(taken).is_some_and(|c| *c != '/') => {
                retry = Some((after, taken + 1));
                (p, t) = (after, taken + 1);
            }
            _ => return false,
        }
    }
}

/// How many characters of the pattern match this one, if they do.
fn one_char(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => (c != '/').then_some(1),
        ['\\', escaped, ..] => (*escaped == c).then_some(2),
        ['[', rest @ ..] => {
            let (rest, not, before) = match rest {
                ['^' | '!', rest @ ..] => (rest, true, 2),
                _ => (rest, false, 1),
            };
            let end = rest.iter().skip(1).position(|c| *c == ']')? + 1;
            let mut set = &rest[..end];
            let mut found = false;
            while let [first, more @ ..] = set {
                match more {
                    ['-', last, more @ ..] => {
                        found |= (*first..=*last).contains(&c);
                        set = more;
                    }
                    _ => {
                        found |= *first == c;
                        set = more;
                    }
                }
            }
            (found != not && c != '/').then_some(before + end + 1)
        }
        [plain, ..] => (*plain == c).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_stars_do_not_take_for_ever() {
        assert!(!glob(&"*a".repeat(40), &"a".repeat(39)));
        assert!(glob(&"*a".repeat(40), &"a".repeat(400)));
    }
}
