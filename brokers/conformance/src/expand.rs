//! How the list of cases becomes tests, and a table.

/// Expands every case of the suite into a test of its own, against the harness that the expression
/// makes. Put it into a module that is named after the broker.
#[macro_export]
macro_rules! conformance {
    ($harness:expr) => {
        $crate::__cases! { tests $harness }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __expand {
    ([tests $harness:expr] $($concern:ident { $($case:ident $([$($need:ident),+])?;)+ })+) => {
        $($(
            #[test]
            fn $case() {
                $crate::check(stringify!($case), &$harness);
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
