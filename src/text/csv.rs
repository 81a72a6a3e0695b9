//! Option values with several fields.

/// The comma-separated fields of one record of CSV (RFC 4180): a field in double quotes may hold
/// commas, and doubled quotes stand for one.
///
/// # Errors
/// What is wrong, in words: quotes that do not match, or an empty field.
pub fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    let mut closed = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => (quoted, closed) = (false, true),
            '"' if field.is_empty() && !closed => quoted = true,
            '"' => return Err("a double quote inside a field".into()),
            ',' if !quoted => {
                fields.push(std::mem::take(&mut field));
                closed = false;
            }
            _ if closed => return Err("text follows a closing double quote".into()),
            other => field.push(other),
        }
    }
    if quoted {
        return Err("a double quote is not closed".into());
    }
    fields.push(field);
    if fields.iter().any(String::is_empty) {
        return Err("a field is empty".into());
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::fields;

    #[test]
    fn quotes_keep_commas() {
        for (text, wanted) in [
            ("a", &["a"][..]),
            ("type=local,dest=out", &["type=local", "dest=out"]),
            (r#"type=local,"dest=a,b""#, &["type=local", "dest=a,b"]),
            (r#""a ""b"" c",d"#, &[r#"a "b" c"#, "d"]),
        ] {
            assert_eq!(fields(text).unwrap(), wanted, "{text}");
        }
        for wrong in ["", "a,", ",a", "a\"b", "\"a", "\"a\"b"] {
            assert!(fields(wrong).is_err(), "{wrong}");
        }
    }
}
