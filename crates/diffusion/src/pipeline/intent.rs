//! What a row's prompt asks for.

use retouch_instruction::{Complexity, Intents, Parsed};
use retouch_ports::step_engine::RowRequest;

use crate::error::{Error, Result, shorten};

/// The request's own intents, or what its prompt says.
pub(super) fn read(request: &RowRequest) -> Result<Parsed> {
    let Some(json) = &request.intents else { return Ok(retouch_instruction::parse(&request.prompt)) };
    let Intents { intents, .. } = Intents::from_json(json).map_err(|error| Error::Parameter {
        name: "intents",
        value: shorten(json.clone()),
        expected: error.to_string(),
    })?;
    let complexity = Complexity::of(&intents, request.prompt.split_whitespace().count());
    Ok(Parsed { intents, language: None, complexity })
}
