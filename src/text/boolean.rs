//! Boolean words.

/// Reads a boolean as Go's `strconv.ParseBool` does, which docker and podman use; `None` for another word.
pub fn boolean(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::boolean;

    #[test]
    fn words_are_those_of_go() {
        assert_eq!([boolean("1"), boolean("True"), boolean("t")], [Some(true); 3]);
        assert_eq!([boolean("0"), boolean("FALSE"), boolean("f")], [Some(false); 3]);
        assert_eq!([boolean("yes"), boolean("tRUE"), boolean("")], [None; 3]);
    }
}
