//! Parses the options of `--network pasta`.

use crate::spec::pasta::PastaOptions;

/// Options that are ours, or would take pasta out of our hands.
const OURS: [&str; 18] = [
    "--netns",
    "--userns",
    "--netns-only",
    "--no-netns-quit",
    "-P",
    "--pid",
    "-f",
    "--foreground",
    "-F",
    "--fd",
    "--runas",
    "-h",
    "--help",
    "--version",
    "-e",
    "--stderr",
    "-q",
    "--quiet",
];

/// Reads what follows `pasta:`, options of pasta(1) with commas between the words.
///
/// # Errors
/// Says what is wrong: a word that is no option nor the value of one, or an option that is ours.
pub(in crate::netns) fn pasta_options(text: &str) -> Result<PastaOptions, String> {
    let words: Vec<String> = text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let mut may_be_value = false;
    for word in &words {
        if word.contains(|c: char| c.is_control()) {
            return Err(format!("{word:?} is not an option of pasta"));
        }
        if word == "accelerate" || word.starts_with("accelerate=") {
            return Err("accelerate works with slirp4netns and bridge networks only".to_owned());
        }
        if !word.starts_with('-') && !std::mem::take(&mut may_be_value) {
            return Err(format!("{word:?} is not an option of pasta: they begin with a dash"));
        }
        may_be_value = word.starts_with('-') && !word.contains('=');
    }
    let options = PastaOptions { words, mac: None };
    // A single dash alone means standard input to programs, and two end the options.
    let lone = options.words.iter().find(|word| matches!(word.as_str(), "-" | "--"));
    if let Some(word) = lone {
        return Err(format!("{word:?} is not an option of pasta"));
    }
    match OURS.iter().find(|option| options.has(&[option])) {
        Some(option) => Err(format!("{option} cannot be given: it is set for the container")),
        None => Ok(options),
    }
}
