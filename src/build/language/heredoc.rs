//! The markers of heredocs: `<<EOF`, `<<-EOF`, `3<<"EOF"` (Dockerfile reference, Here-Documents).
//!
//! Which words of a line are markers does not depend on the `escape` directive: a shell will read the line, and to it
//! a backslash escapes.

use super::tree::Heredoc;

/// A marker, before its content is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker {
    /// The heredoc without content.
    pub(super) heredoc: Heredoc,
    /// `<<-`: leading tabs are no content.
    pub(super) tabs: bool,
}

/// The markers of a line, in order. A line whose quotes are not closed has none.
pub(super) fn markers(line: &str) -> Result<Vec<Marker>, String> {
    if !line.contains("<<") {
        return Ok(Vec::new());
    }
    let words = words(line).unwrap_or_default();
    words.into_iter().filter_map(|word| marker(word).transpose()).collect()
}

/// What a word is, if it is a marker.
///
/// # Errors
/// It is one, and its quotes are not closed.
pub(super) fn marker(word: &str) -> Result<Option<Marker>, String> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let Some(rest) = word[digits..].strip_prefix("<<") else { return Ok(None) };
    let (rest, tabs) = match rest.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let delimiter = rest.trim_start();
    if delimiter.is_empty() || delimiter.contains('<') {
        return Ok(None);
    }
    let Some((name, quoted)) = unquoted(delimiter) else {
        return Err(format!("the quotes of heredoc {word} are not closed"));
    };
    if name.is_empty() {
        return Ok(None);
    }
    let heredoc = Heredoc {
        name,
        marker: word.to_owned(),
        content: String::new(),
        expand: !quoted,
        descriptor: word[..digits].parse().unwrap_or(0),
    };
    Ok((words(delimiter).is_some_and(|words| words.len() == 1)).then_some(Marker { heredoc, tabs }))
}

/// The delimiter without quotes, and whether there were any; `None` if they are not closed.
fn unquoted(delimiter: &str) -> Option<(String, bool)> {
    let mut name = String::new();
    let mut quote = None;
    let mut quoted = false;
    let mut chars = delimiter.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\'' | '"', None) => (quote, quoted) = (Some(c), true),
            (c, Some(open)) if c == open => quote = None,
            ('\\', None) => name.extend(chars.next()),
            ('\\', Some('"')) => match chars.next() {
                Some(next @ ('"' | '$' | '\\')) => name.push(next),
                Some(next) => name.extend(['\\', next]),
                None => {}
            },
            _ => name.push(c),
        }
    }
    quote.is_none().then_some((name, quoted))
}

/// The words of a line with their quotes. Blanks after `<<` and within `${ }` do not end a word. `None` if quotes or
/// braces are not closed.
fn words(line: &str) -> Option<Vec<&str>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut braces = 0_usize;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && braces == 0 && c.is_whitespace() {
            words.extend(start.take().map(|start: usize| &line[start..at]));
            continue;
        }
        start.get_or_insert(at);
        match (c, quote) {
            ('\\', None | Some('"')) => {
                chars.next();
            }
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('$', None) if chars.next_if(|(_, c)| *c == '{').is_some() => braces += 1,
            ('}', None) => braces = braces.saturating_sub(1),
            ('<', None) if chars.next_if(|(_, c)| *c == '<').is_some() => {
                chars.next_if(|(_, c)| *c == '-');
                while chars.next_if(|(_, c)| matches!(c, ' ' | '\t' | '\r')).is_some() {}
            }
            _ => {}
        }
    }
    words.extend(start.map(|start| &line[start..]));
    (quote.is_none() && braces == 0).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(line: &str) -> Vec<String> {
        markers(line).unwrap().into_iter().map(|marker| marker.heredoc.name).collect()
    }

    #[test]
    fn markers_are_words_of_the_line() {
        for (line, wanted) in [
            ("RUN ls", &[][..]),
            ("RUN <<EOF", &["EOF"]),
            ("RUN << EOF", &["EOF"]),
            ("RUN <<- EOF", &["EOF"]),
            ("RUN cat <<A <<B | tee x", &["A", "B"]),
            ("RUN python3 <<EOF>out", &["EOF>out"]),
            ("COPY <<file.txt <<\"b c\" /d", &["file.txt", "b c"]),
            ("RUN <<eo\\'f", &["eo'f"]),
            ("RUN <<'e'o\\'f", &["eo'f"]),
            ("RUN <<$EOF", &["$EOF"]),
            ("RUN echo ${a:-x y} <<EOF", &["EOF"]),
            ("RUN \"<<EOF\"", &[]),
            ("RUN echo '<<EOF'", &[]),
            ("RUN cat <<<word", &[]),
            ("RUN echo $((1<<2))", &[]),
            ("RUN a \\<<EOF", &[]),
            ("RUN echo it's <<EOF", &[]),
            ("RUN echo ${a <<EOF", &[]),
            ("RUN <<", &[]),
            ("RUN <<-", &[]),
            ("RUN <<''", &[]),
        ] {
            assert_eq!(names(line), wanted, "{line}");
        }
    }

    #[test]
    fn markers_are_taken_apart() {
        let one = marker("3<<-\"EOF\"").unwrap().unwrap();
        assert!(one.tabs && !one.heredoc.expand);
        assert_eq!((one.heredoc.descriptor, one.heredoc.marker.as_str()), (3, "3<<-\"EOF\""));
        assert!(marker("<<E\"O\"F").unwrap().is_some_and(|m| m.heredoc.name == "EOF" && !m.heredoc.expand));
        assert!(marker("<<E\\OF").unwrap().is_some_and(|m| m.heredoc.expand));
        for wrong in ["<<'EOF", "<<EOF\""] {
            assert!(marker(wrong).is_err(), "{wrong}");
        }
        for none in ["", "EOF", "<EOF", "<<EOF sh", "x<<EOF"] {
            assert_eq!(marker(none), Ok(None), "{none}");
        }
    }
}
