//! Monthly averages of a series.

use super::dates::MonthDay;

/// The months that occur, January first, each with the indices of its dates in the list.
///
/// Upstream walks from the list's first month to its last (`src/dataset.py:75-85`), so that an unsorted list loses
/// months; in a sorted list, as all of the dataset's are, both are the same.
pub(super) fn by_month(dates: &[MonthDay]) -> Vec<(MonthDay, Vec<usize>)> {
    (1..=12)
        .filter_map(|month| {
            let of_month: Vec<_> = (0..dates.len()).filter(|i| dates[*i].month() == month).collect();
            // A month's position is that of its 15th.
            MonthDay::new(month, 15).filter(|_| !of_month.is_empty()).map(|middle| (middle, of_month))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_without_a_date_are_left_out_and_order_does_not_matter() {
        let dates: Vec<MonthDay> = ["12-31", "02-29", "02-01", "07-07"].iter().map(|d| d.parse().unwrap()).collect();
        let months: Vec<_> = by_month(&dates).into_iter().map(|(middle, at)| (middle.to_string(), at)).collect();
        assert_eq!(
            months,
            [("02-15".to_owned(), vec![1, 2]), ("07-15".to_owned(), vec![3]), ("12-15".to_owned(), vec![0])]
        );
        assert!(by_month(&[]).is_empty());
    }
}
