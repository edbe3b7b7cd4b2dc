# Reads pairs "ours baseline" and prints, tab between: median of ours, median of the baseline, median
# of the per-pair ratios, and a bootstrap 95 % interval of that median.

$2 > 0 {
    n++
    ours[n] = $1
    base[n] = $2
    ratio[n] = $1 / $2
}

END {
    if (n == 0) exit 1
    srand(1)
    rounds = 2000
    for (round = 1; round <= rounds; round++) {
        for (i = 1; i <= n; i++) sample[i] = ratio[int(rand() * n) + 1]
        medians[round] = median(sample, n)
    }
    sort(medians, rounds)
    printf "%.0f\t%.0f\t%.2f\t%.2f\t%.2f\n", median(ours, n), median(base, n), median(ratio, n),
        medians[int(rounds * 0.025) + 1], medians[int(rounds * 0.975)]
}

function median(values, count,    copy, i) {
    for (i = 1; i <= count; i++) copy[i] = values[i]
    sort(copy, count)
    return count % 2 ? copy[(count + 1) / 2] : (copy[count / 2] + copy[count / 2 + 1]) / 2
}

# Insertion is enough for pairs; medians come in thousands, so halves are merged.
function sort(values, count) { sort_range(values, 1, count) }
function sort_range(values, low, high,    middle, i, j, k, held) {
    if (high - low < 16) {
        for (i = low + 1; i <= high; i++) {
            held = values[i]
            for (j = i - 1; j >= low && values[j] > held; j--) values[j + 1] = values[j]
            values[j + 1] = held
        }
        return
    }
    middle = int((low + high) / 2)
    sort_range(values, low, middle)
    sort_range(values, middle + 1, high)
    i = low
    j = middle + 1
    for (k = low; k <= high; k++) {
        if (j > high || (i <= middle && values[i] <= values[j])) merged[k] = values[i++]
        else merged[k] = values[j++]
    }
    for (k = low; k <= high; k++) values[k] = merged[k]
}
