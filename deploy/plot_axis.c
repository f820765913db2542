#include "deploy/plot_axis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MINUS "\xE2\x88\x92"    /* U+2212 */

/* The one of 1, 2 and 5 times a power of ten that is nearest to `step`. */
static double nice_step(double step)
{
    const double power = pow(10, floor(log10(step)));
    const double share = step / power;
    return power * (share < 1.45 ? 1 : share < 3.3 ? 2 : share < 7.2 ? 5 : 10);
}

static void choose_unit(struct plot_axis *a, double step)
{
    const double most = fmax(fabs(a->low), fabs(a->high));
    a->unit = most >= 1e10 ? 1e9 : most >= 1e6 ? 1e6 : most >= 1e4 ? 1e3 : 1;
    a->decimals = (int)fmax(0, ceil(-log10(step / a->unit) - 1e-9));
}

static void fit_linear(struct plot_axis *a, double margin, int n_wanted)
{
    const double spread = a->high - a->low;
    const bool from_zero = a->low >= 0 && a->low <= 0.35 * a->high;
    const bool to_zero = a->high <= 0 && a->high >= 0.15 * a->low;
    a->low = from_zero ? 0 : a->low - margin * spread;
    a->high = to_zero ? 0 : a->high + margin * spread;
    const double step = nice_step((a->high - a->low) / n_wanted);
    const double first = ceil(a->low / step - 1e-9), last = floor(a->high / step + 1e-9);
    for (double i = first; i <= last && a->n_ticks < PLOT_MAX_TICKS; i++)
        a->ticks[a->n_ticks++] = i * step + 0.0;
    choose_unit(a, step);
}

static void fit_log(struct plot_axis *a, double margin, int n_wanted)
{
    static const double parts[] = { 1, 2, 5 };
    const double spread = log10(a->high / a->low);
    a->low *= pow(10, -margin * spread);
    a->high *= pow(10, margin * spread);
    const double decades = log10(a->high / a->low);
    /* Decades, every so many; with few of them also twice and five times each. */
    const int every = (int)fmax(1, ceil(decades / n_wanted)), n_parts = decades <= 2.5 ? 3 : 1;
    a->unit = 0;
    for (int e = (int)floor(log10(a->low)); e <= (int)ceil(log10(a->high)); e++)
        for (int p = 0; p < n_parts && e % every == 0; p++) {
            const double tick = parts[p] * pow(10, e);
            if (tick >= a->low * (1 - 1e-9) && tick <= a->high * (1 + 1e-9) && a->n_ticks < PLOT_MAX_TICKS)
                a->ticks[a->n_ticks++] = tick;
        }
}

void plot_axis_fit(struct plot_axis *a, double low, double high, double margin, bool is_log, int n_wanted)
{
    *a = (struct plot_axis){ .low = low, .high = high, .is_log = is_log };
    /* All values alike: some room around them. */
    if (is_log && high < low * 1.5) {
        a->low = low / 1.5;
        a->high = high * 1.5;
    } else if (!is_log && high - low <= 1e-9 * fmax(fabs(low), fabs(high))) {
        const double room = 0.1 * fabs(low);
        a->low = low - room;
        a->high = low == 0 ? 1 : high + room;
    }
    if (is_log)
        fit_log(a, margin, n_wanted);
    else
        fit_linear(a, margin, n_wanted);
}

double plot_axis_place(const struct plot_axis *a, double value)
{
    if (a->is_log)
        return log(fmax(value, a->low * 1e-6) / a->low) / log(a->high / a->low);
    return (value - a->low) / (a->high - a->low);
}

/* "%.*f" with a real minus sign; 0 has none, nor a unit. */
static void put_decimal(double value, int decimals, const char *suffix, char out[PLOT_LABEL_BYTES])
{
    char text[PLOT_LABEL_BYTES];
    snprintf(text, sizeof(text), "%.*f", decimals, fabs(value));
    const bool is_zero = strspn(text, "0.") == strlen(text);
    if (is_zero && *suffix)
        snprintf(out, PLOT_LABEL_BYTES, "0");
    else
        snprintf(out, PLOT_LABEL_BYTES, "%s%.24s%s", value < 0 && !is_zero ? MINUS : "", text, suffix);
}

static const char *unit_suffix(double unit)
{
    return unit >= 1e9 ? "G" : unit >= 1e6 ? "M" : unit >= 1e3 ? "k" : "";
}

void plot_axis_label(const struct plot_axis *a, double tick, char out[PLOT_LABEL_BYTES])
{
    double unit = a->unit;
    int decimals = a->decimals;
    if (a->is_log) {    /* each tick by itself */
        unit = tick >= 1e9 ? 1e9 : tick >= 1e6 ? 1e6 : tick >= 1e3 ? 1e3 : 1;
        decimals = (int)fmax(0, ceil(-log10(tick / unit) - 1e-9));
    }
    if (decimals > 9)
        snprintf(out, PLOT_LABEL_BYTES, "%.3g", tick);
    else
        put_decimal(tick / unit, decimals, unit_suffix(unit), out);
}

void plot_number(double value, int digits, char out[PLOT_LABEL_BYTES])
{
    const double size = fabs(value);
    if (!isfinite(value))
        snprintf(out, PLOT_LABEL_BYTES, "-");
    else if (size > 0 && (size < 1e-4 || size >= 1e15))
        snprintf(out, PLOT_LABEL_BYTES, "%.*g", digits, value);
    else
        put_decimal(value, size > 0 ? (int)fmin(12, fmax(0, digits - 1 - floor(log10(size) + 1e-9))) : 0, "",
                    out);
}
