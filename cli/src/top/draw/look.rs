//! Colours, where they are wanted.

use ratatui::style::{Color, Modifier, Style};

/// Whether there are colours. Without them, what matters is bold or reversed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::top) enum Look {
    Coloured,
    Plain,
}

impl Look {
    /// As NO_COLOR (<https://no-color.org>) wants it.
    pub(in crate::top) fn of_environment() -> Self {
        match crate::output::may_colour() {
            true => Self::Coloured,
            false => Self::Plain,
        }
    }

    fn of(self, colour: Color) -> Style {
        match self {
            Self::Coloured => Style::new().fg(colour),
            Self::Plain => Style::new(),
        }
    }

    pub(super) fn bad(self) -> Style {
        self.of(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn good(self) -> Style {
        self.of(Color::Green)
    }

    pub(super) fn doubtful(self) -> Style {
        self.of(Color::Yellow).add_modifier(Modifier::BOLD)
    }
}
