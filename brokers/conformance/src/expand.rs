//! How the list of cases becomes tests, and a table.

/// Expands every case of the suite into a test of its own, against the harness that the expression
/// makes. Put it into a module that is named after the broker.
///
/// Behind `except` there may be a list of names, each with the reason, of cases that this harness cannot stage.
#[macro_export]
macro_rules! conformance {
    ($harness:expr) => {
        $crate::__cases! { tests $harness, &[] }
    };
    ($harness:expr, except $except:expr) => {
        $crate::__cases! { tests $harness, $except }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __expand {
    ([tests $harness:expr, $except:expr] $($concern:ident { $($case:ident $([$($need:ident),+])?;)+ })+) => {
        $($(
            #[test]
            fn $case() {
                $crate::check_unless(stringify!($case), &$harness, $except);
            }
        )+)+
    };
    ([table] $($concern:ident { $($case:ident $([$($need:ident),+])?;)+ })+) => {
        /// Every case, in the order of `docs/contract.md`.
        pub static CASES: &[$crate::Case] = &[
            $($(
                Case {
                    name: stringify!($case),
                    concern: stringify!($concern),
                    needs: &[$($(Need::$need),+)?],
                    run: |scene| Box::pin(cases::$concern::$case(scene)),
                },
            )+)+
        ];
    };
}
