//! From the text of a Containerfile to its stages.

use super::directives;
use super::fault::Fault;
use super::instruction::Said;
use super::lines::Reader;
use super::statement::Statement;
use super::tree::{Containerfile, Does, Instruction, Lines};
use crate::error::{Error, Kind, Result};

/// Most instructions of a file.
const INSTRUCTIONS_MAX: usize = 10_000;

/// Reads a Containerfile, which is called `name` in messages.
///
/// # Errors
/// `Usage`, with the line and an excerpt: something in it is not understood. Also if it is larger than 10 MiB, has more
/// than 10,000 instructions, a line of more than 1 MiB, or text that is not UTF-8 outside comments.
pub fn parse(text: &[u8], name: &str) -> Result<Containerfile> {
    let whole = |fault: Fault| fault.of_file(name);
    let mut reader = Reader::new(text).map_err(whole)?;
    let source = reader.source(name);
    let directives = match directives::read(&mut reader) {
        Ok(directives) => directives,
        Err(fault) => return Err(fault.error(&source, (reader.read, reader.read))),
    };
    let (mut globals, mut stages, mut count) = (Vec::new(), Vec::new(), 0);
    loop {
        let (line, said, at) = match statement(&mut reader, directives.escape) {
            Ok(Some(found)) => found,
            Ok(None) => break,
            Err((fault, at)) => return Err(fault.error(&source, at)),
        };
        count += 1;
        if count > INSTRUCTIONS_MAX {
            return Err(whole(Fault::new(format!("it has more than {INSTRUCTIONS_MAX} instructions"))));
        }
        let does = match said {
            Said::From(stage) => {
                stages.push(stage);
                continue;
            }
            Said::Arg(arguments) if stages.is_empty() => {
                globals.extend(arguments);
                continue;
            }
            Said::Arg(arguments) => Does::Arg(arguments),
            Said::Does(does) => does,
        };
        let Some(stage) = stages.last_mut() else {
            let keyword = line.split_whitespace().next().unwrap_or_default();
            let fault =
                Fault::new(format!("no build stage in current context: {keyword} stands before FROM"));
            return Err(fault
                .at(keyword)
                .hint(Some("Write FROM IMAGE before it".to_owned()))
                .error(&source, at));
        };
        stage.instructions.push(Instruction { does, at, original: line.trim().to_owned() });
    }
    if stages.is_empty() {
        let what = if count == 0 { "file with no instructions" } else { "no FROM statement found" };
        return Err(whole(Fault::new(what).hint(Some("Write FROM IMAGE to begin a stage".to_owned()))));
    }
    Ok(Containerfile { directives, globals, stages, source, empty_continuations: reader.empty })
}

/// Reads a trigger (ONBUILD) of a base image's configuration, as an instruction at the place of FROM.
///
/// # Errors
/// `Image`: it is not one instruction, or one that is no trigger.
pub fn parse_trigger(text: &str, at: Lines) -> Result<Instruction> {
    let wrong = |fault: Fault| fault.in_trigger(text);
    let mut reader = Reader::new(text.as_bytes()).map_err(wrong)?;
    let found = statement(&mut reader, '\\').map_err(|(fault, _)| wrong(fault))?;
    let Some((line, said, _)) = found else { return Err(wrong(Fault::new("it is empty"))) };
    Statement::new(&line, '\\').may_be_trigger().map_err(wrong)?;
    if !matches!(reader.next('\\'), Ok(None)) {
        return Err(wrong(Fault::new("it is more than one instruction")));
    }
    let does = match said {
        Said::From(_) => return Err(Error::new(Kind::Image, "a trigger begins a stage")),
        Said::Arg(mut arguments) => {
            arguments.iter_mut().for_each(|argument| argument.at = at);
            Does::Arg(arguments)
        }
        Said::Does(does) => does,
    };
    Ok(Instruction { does, at, original: line.trim().to_owned() })
}

type Found = (String, Said, Lines);

/// The next instruction with its heredocs.
fn statement(reader: &mut Reader<'_>, escape: char) -> std::result::Result<Option<Found>, (Fault, Lines)> {
    let here = |reader: &Reader<'_>, fault| (fault, (reader.read, reader.read));
    let line = loop {
        match reader.next(escape).map_err(|fault| here(reader, fault))? {
            None => return Ok(None),
            // Nothing but escape characters.
            Some(line) if line.text.trim().is_empty() => {}
            Some(line) => break line,
        }
    };
    let statement = Statement::new(&line.text, escape);
    let at = |reader: &Reader<'_>| (line.start, reader.read);
    let mut heredocs = Vec::new();
    for mut marker in statement.markers().map_err(|fault| (fault, at(reader)))? {
        reader.heredoc(&mut marker.heredoc, marker.tabs).map_err(|fault| (fault, at(reader)))?;
        heredocs.push(marker.heredoc);
    }
    let said = statement.parse(heredocs, at(reader)).map_err(|fault| (fault, at(reader)))?;
    let at = at(reader);
    Ok(Some((line.text, said, at)))
}
