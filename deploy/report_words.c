/* What a report says: findings computed from the numbers, tables, and what is missing.
 *
 * A difference is claimed only where a 95 % interval leaves out equality; what an interval contains is "not
 * shown", never "equal". */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "deploy/plot_axis.h"
#include "deploy/report_private.h"

#define SAY(d, ...) comparison_print((d)->arena, __VA_ARGS__)

const char *report_enumerate(const struct report_data *d, const char *const *names, int n)
{
    const char *text = names[0];
    for (int i = 1; i < n; i++)
        text = SAY(d, "%s%s%s", text, i == n - 1 ? " and " : ", ", names[i]);
    return text;
}

const char *report_score_word(const struct report_data *d)
{
    return d->r->scores_are_means ? "mean return" : "final return";
}

const char *report_score_title(const struct report_data *d)
{
    return d->r->scores_are_means ? "Mean returns" : "Final returns";
}

const char *report_number(const struct report_data *d, double value, int digits)
{
    char text[PLOT_LABEL_BYTES];
    plot_number(value, digits, text);
    return SAY(d, "%s", text);
}

const char *report_range(const struct report_data *d, const struct interval *i, int digits)
{
    if (!isfinite(i->low) || !isfinite(i->high))
        return "-";
    return SAY(d, "%s to %s", report_number(d, i->low, digits), report_number(d, i->high, digits));
}

/* Shares and ratios: two decimals, whatever their size. */
static const char *share(const struct report_data *d, double value)
{
    return isfinite(value) ? SAY(d, "%.2f", value) : "-";
}

static const char *share_range(const struct report_data *d, const struct interval *i)
{
    return isfinite(i->low) ? SAY(d, "%.2f to %.2f", i->low, i->high) : "-";
}

/* "+12.3": a difference with its sign. */
static const char *signed_number(const struct report_data *d, double value, int digits)
{
    return SAY(d, "%s%s", value > 0 ? "+" : "", report_number(d, value, digits));
}

static const char *signed_range(const struct report_data *d, const struct interval *i, int digits)
{
    if (!isfinite(i->low))
        return "-";
    return SAY(d, "%s to %s", signed_number(d, i->low, digits), signed_number(d, i->high, digits));
}

/* "0.94 times", "+12.3"; and its range. */
static const char *ratio_or_difference(const struct report_data *d, const struct duel *duel)
{
    return duel->is_ratio ? SAY(d, "%s \xC3\x97", share(d, duel->iqm.value)) : signed_number(d, duel->iqm.value, 3);
}

static const char *range_of_duel(const struct report_data *d, const struct duel *duel)
{
    return duel->is_ratio ? share_range(d, &duel->iqm) : signed_range(d, &duel->iqm, 3);
}

/* "5 seeds", "5 and 4 seeds". */
static const char *seeds_text(const struct report_data *d, int arm, int other, int task)
{
    const int n = report_seeds(d, arm, task), m = report_seeds(d, other, task);
    return n == m ? SAY(d, "%d seed%s", n, text_plural(n)) : SAY(d, "%d and %d seeds", n, m);
}

/* ---- findings ---- */

static const char *verdict_text(const struct report_data *d, const struct duel *duel, int arm, int other, int task)
{
    const char *seeds = seeds_text(d, arm, other, task);
    switch (duel->verdict) {
    case VERDICT_BETTER:
    case VERDICT_WORSE:
        return SAY(d, "%s is %s at %s", d->r->arms[arm], duel->verdict == VERDICT_BETTER ? "better" : "worse", seeds);
    case VERDICT_FEW:
        return SAY(d, "%s are too few to show a difference", seeds);
    case VERDICT_OPEN:
        return SAY(d, "no difference shown at %s", seeds);
    case VERDICT_UNKNOWN:
        break;
    }
    return SAY(d, "nothing is shown, as %s give%s no interval", seeds,
               report_seeds(d, arm, task) == 1 && report_seeds(d, other, task) == 1 ? "s" : "");
}

/* "async reaches 0.94 times sync's interquartile mean (95 % interval 0.83 to 1.05)". */
static const char *measure_text(const struct report_data *d, const struct duel *duel, int arm, int other, int task)
{
    const char *x = d->r->arms[arm], *y = d->r->arms[other];
    const char *what = task == ALL_TASKS ? "interquartile mean of normalised returns"
        : d->r->scores_are_means ? "interquartile mean of mean returns" : "interquartile mean return";
    const char *interval = isfinite(duel->iqm.low) ? SAY(d, " (95 %% interval %s)", range_of_duel(d, duel)) : "";
    if (duel->is_ratio)
        return SAY(d, "%s reaches %s times %s's %s%s", x, share(d, duel->iqm.value), y, what, interval);
    if (duel->iqm.value == 0)
        return SAY(d, "%s and %s have the same %s%s", x, y, what, interval);
    return SAY(d, "%s's %s is %s %s %s's%s", x, what, report_number(d, fabs(duel->iqm.value), 3),
               duel->iqm.value > 0 ? "above" : "below", y,
               isfinite(duel->iqm.low) ? SAY(d, " (95 %% interval of the difference %s)", range_of_duel(d, duel)) : "");
}

static const char *improvement_text(const struct report_data *d, const struct duel *duel, int arm, int other)
{
    if (!isfinite(duel->improvement.value))
        return "";
    const char *interval = isfinite(duel->improvement.low)
        ? SAY(d, " (%s)", share_range(d, &duel->improvement)) : "";
    return SAY(d, " A run of %s is better than one of %s with probability %s%s.", d->r->arms[arm],
               d->r->arms[other], share(d, duel->improvement.value), interval);
}

/* How long the arm takes to the end, against the other. */
static const char *time_text(const struct report_data *d, int arm, int other, int task)
{
    const struct scores x = report_view(d, &d->time, arm, task), y = report_view(d, &d->time, other, task);
    const struct statistic ratio = { .kind = STATISTIC_MEAN, .form = STATISTIC_RATIO };
    const struct interval i = statistics_interval(&x, &y, &ratio, &(struct bootstrap){ 1, STATISTICS_DRAWS });
    if (!isfinite(i.value))
        return "";
    return SAY(d, " It takes %s times as much %s time to the end%s.", share(d, i.value),
               d->r->is_virtual ? "virtual" : "wall-clock",
               isfinite(i.low) ? SAY(d, " (%s)", share_range(d, &i)) : "");
}

/* A task in which all runs ended alike has no normalised returns: not to be passed over. */
static const char *all_tasks_text(const struct report_data *d)
{
    int n = 0;
    for (int t = 0; t < d->r->n_tasks; t++)
        n += d->high[t] > d->low[t];
    return n == d->r->n_tasks ? SAY(d, "Over all %d tasks: ", n)
           : SAY(d, "Over all %d tasks (%ss differ in %d): ", d->r->n_tasks, report_score_word(d), n);
}

static const char *finding_text(const struct report_data *d, int arm, int task)
{
    const int other = d->r->baseline;
    const bool lacks_x = report_seeds(d, arm, task) == 0, lacks_y = report_seeds(d, other, task) == 0;
    if ((lacks_x || lacks_y) && task == ALL_TASKS)
        return SAY(d, "Over all %d tasks: %s and %s cannot be compared, as they do not both have %ss in "
                   "every task.", d->r->n_tasks, d->r->arms[arm], d->r->arms[other], report_score_word(d));
    if (lacks_x || lacks_y)
        return SAY(d, "%s: %s and %s cannot be compared, as %s no %s.", d->r->tasks[task], d->r->arms[arm],
                   d->r->arms[other], lacks_x && lacks_y ? "both have" : SAY(d, "%s has", d->r->arms[lacks_x ? arm : other]),
                   report_score_word(d));
    const struct duel duel = report_duel(d, arm, other, task);
    const char *where = task == ALL_TASKS ? all_tasks_text(d) : SAY(d, "%s: ", d->r->tasks[task]);
    if (!isfinite(duel.iqm.value))
        return SAY(d, "%severy run of a task scored the same; nothing tells the arms apart.", where);
    return SAY(d, "%s%s: %s.%s%s", where, measure_text(d, &duel, arm, other, task),
               verdict_text(d, &duel, arm, other, task), improvement_text(d, &duel, arm, other),
               time_text(d, arm, other, task));
}

/* "lag=1 and lag=4": those of a family's members in which the arm's duel ended so; NULL: none. */
static const char *where_text(const struct report_data *d, const int *members, int n, const enum verdict *verdicts,
                              enum verdict verdict)
{
    const char **names = arena_alloc(d->arena, (size_t)n, sizeof(*names));
    int n_names = 0;
    for (int i = 0; i < n; i++)
        if (verdicts[i] == verdict)
            names[n_names++] = report_varied(d->r->tasks[members[i]]);
    return n_names ? report_enumerate(d, names, n_names) : NULL;
}

/* For each family of tasks: from where on, or up to where, an arm is better. */
static void family_findings(const struct report_data *d, struct report_page *page, int arm)
{
    const size_t n_tasks = (size_t)d->r->n_tasks;
    int *members = arena_alloc(d->arena, n_tasks, sizeof(*members));
    enum verdict *verdicts = arena_alloc(d->arena, n_tasks, sizeof(*verdicts));
    for (int t = 0; t < d->r->n_tasks; t++) {
        const int n = report_members(d, t, members);
        if (n < 2)
            continue;
        for (int i = 0; i < n; i++)
            verdicts[i] = report_duel(d, arm, d->r->baseline, members[i]).verdict;
        const char *better = where_text(d, members, n, verdicts, VERDICT_BETTER);
        const char *worse = where_text(d, members, n, verdicts, VERDICT_WORSE);
        const char *few = where_text(d, members, n, verdicts, VERDICT_FEW);
        const char *unknown = where_text(d, members, n, verdicts, VERDICT_UNKNOWN);
        const char *open = where_text(d, members, n, verdicts, VERDICT_OPEN);
        report_page_finding(page, SAY(d, "%.*s: %s is shown to be better than %s %s%s, and worse %s%s.%s%s%s",
            (int)report_family(d->r->tasks[t]), d->r->tasks[t], d->r->arms[arm], d->r->arms[d->r->baseline],
            better ? "at " : "nowhere", better ? better : "", worse ? "at " : "nowhere", worse ? worse : "",
            open ? SAY(d, " No difference is shown at %s.", open) : "",
            few ? SAY(d, " Seeds are too few at %s.", few) : "",
            unknown ? SAY(d, " Nothing can be said at %s.", unknown) : ""));
    }
}

void report_findings(const struct report_data *d, struct report_page *page)
{
    const struct report *r = d->r;
    report_page_heading(page, "Findings");
    if (r->n_arms < 2)
        report_page_finding(page, SAY(d, "Only %s was run: there is nothing to compare it with.", r->arms[0]));
    for (int a = 0; a < r->n_arms; a++) {
        if (a == r->baseline)
            continue;
        if (r->n_tasks > 1)
            report_page_finding(page, finding_text(d, a, ALL_TASKS));
        family_findings(d, page, a);
        for (int t = 0; t < r->n_tasks; t++) {
            const char *text = finding_text(d, a, t);
            if (r->n_tasks > 1)
                report_page_paragraph(page, text);
            else
                report_page_finding(page, text);
        }
    }
}

void report_method(const struct report_data *d, struct report_page *page)
{
    const struct report *r = d->r;
    int fewest = d->n_rows;
    for (int a = 0; a < r->n_arms; a++)
        fewest = report_seeds(d, a, ALL_TASKS) < fewest ? report_seeds(d, a, ALL_TASKS) : fewest;
    report_page_heading(page, "How to read this");
    const char *what = r->scores_are_means
        ? "mean returns: the mean height of a run's learning curve, from its first evaluation to its last"
        : "final returns: the mean of a run's last evaluation, not of its best";
    report_page_paragraph(page, SAY(d, "Scores are %s. The interquartile mean leaves out the lowest and the "
        "highest quarter of the runs. Intervals are 95 %% percentile intervals of a bootstrap stratified by task "
        "(%d draws); a difference counts as shown when the interval leaves out equality. They are not corrected for "
        "several comparisons.", what, STATISTICS_DRAWS));
    if (fewest < FEW_SEEDS)
        report_page_paragraph(page, SAY(d, "Caution: some arm has only %d seed%s in a task. Bootstrap intervals of so "
            "few are too narrow; 5 seeds are the least, 10 are better.", fewest, text_plural(fewest)));
    if (r->n_tasks > 1 && d->has_scale)
        report_page_paragraph(page, "Normalised returns: 0 and 1 are the returns that the study names for a task.");
    else if (r->n_tasks > 1)
        report_page_paragraph(page, SAY(d, "Normalised returns: 0 and 1 are a task's lowest and highest %s of all "
                                        "runs here, so they mean something within this report only.",
                                        report_score_word(d)));
    for (int t = 0; t < r->n_tasks && r->n_tasks > 1; t++)
        if (!(d->high[t] > d->low[t]))
            report_page_paragraph(page, SAY(d, "%s: all runs scored the same, so it does not count in "
                                            "normalised numbers.", r->tasks[t]));
}

/* ---- tables ---- */

/* The two arms with the highest interquartile means; *second is -1 when there is one only. */
static void rank(const struct report_data *d, int task, int *best, int *second)
{
    double first_iqm = -(double)INFINITY, second_iqm = first_iqm;
    *best = *second = -1;
    for (int a = 0; a < d->r->n_arms; a++) {
        const struct scores x = report_view(d, task == ALL_TASKS ? &d->normal : &d->own, a, task);
        const double iqm = statistics_of(&x, NULL, &(struct statistic){ .kind = STATISTIC_IQM });
        if (iqm > first_iqm) {
            *second = *best;
            second_iqm = first_iqm;
            *best = a;
            first_iqm = iqm;
        } else if (iqm > second_iqm) {
            *second = a;
            second_iqm = iqm;
        }
    }
}

static void winner_row(const struct report_data *d, struct report_page *page, int task)
{
    int best, second;
    rank(d, task, &best, &second);
    if (best < 0 || second < 0)
        return;
    const struct duel duel = report_duel(d, best, second, task);
    const bool is_shown = duel.verdict == VERDICT_BETTER;
    const bool is_tie = duel.iqm.value == (duel.is_ratio ? 1 : 0);
    report_page_cell(page, task == ALL_TASKS ? "all (normalised)" : d->r->tasks[task], false);
    report_page_cell(page, is_tie ? "(tie)" : d->r->arms[best], is_shown);
    report_page_cell(page, is_tie ? SAY(d, "%s, %s", d->r->arms[best], d->r->arms[second]) : d->r->arms[second], false);
    report_page_cell(page, is_shown ? "yes" : duel.verdict == VERDICT_FEW ? "too few seeds" : "no", is_shown);
    report_page_cell(page, ratio_or_difference(d, &duel), false);
    report_page_cell(page, range_of_duel(d, &duel), false);
    report_page_cell(page, share(d, duel.improvement.value), false);
    report_page_cell(page, share_range(d, &duel.improvement), false);
}

static void winners(const struct report_data *d, struct report_page *page)
{
    report_page_heading(page, "Who won, and by how much");
    report_page_table(page, "task|highest|next|difference shown|highest against next|95 % interval|P(better)|"
                      "95 % interval", 4);
    for (int t = 0; t < d->r->n_tasks; t++)
        winner_row(d, page, t);
    if (d->r->n_tasks > 1)
        winner_row(d, page, ALL_TASKS);
    report_page_table_end(page);
}

static void return_row(const struct report_data *d, struct report_page *page, int arm, int task)
{
    const struct interval iqm = report_iqm(d, arm, task);
    const bool is_baseline = arm == d->r->baseline;
    report_page_cell(page, task == ALL_TASKS ? "all (normalised)" : d->r->tasks[task], false);
    report_page_cell(page, d->r->arms[arm], false);
    report_page_cell(page, SAY(d, "%d", report_seeds(d, arm, task)), false);
    report_page_cell(page, report_number(d, iqm.value, task == ALL_TASKS ? 3 : 4), false);
    report_page_cell(page, report_range(d, &iqm, task == ALL_TASKS ? 3 : 4), false);
    if (is_baseline || report_seeds(d, arm, task) == 0) {
        for (int i = 0; i < 4; i++)
            report_page_cell(page, i == 0 && is_baseline ? "(baseline)" : "", false);
        return;
    }
    const struct duel duel = report_duel(d, arm, d->r->baseline, task);
    const bool is_shown = duel.verdict == VERDICT_BETTER || duel.verdict == VERDICT_WORSE;
    report_page_cell(page, ratio_or_difference(d, &duel), is_shown);
    report_page_cell(page, range_of_duel(d, &duel), is_shown);
    report_page_cell(page, share(d, duel.improvement.value), false);
    report_page_cell(page, share_range(d, &duel.improvement), false);
}

static void course_row(const struct report_data *d, struct report_page *page, int arm, int task)
{
    const struct course c = report_course(d, arm, task);
    report_page_cell(page, d->r->tasks[task], false);
    report_page_cell(page, d->r->arms[arm], false);
    report_page_cell(page, report_number(d, c.time_s, 3), false);
    report_page_cell(page, report_number(d, c.steps_per_s, 3), false);
    report_page_cell(page, report_number(d, c.updates_per_s, 3), false);
    report_page_cell(page, share(d, c.staleness_mean), false);
    report_page_cell(page, isfinite(c.staleness_max) ? SAY(d, "%.0f", c.staleness_max) : "-", false);
}

void report_tables(const struct report_data *d, struct report_page *page)
{
    const struct report *r = d->r;
    if (r->n_arms > 1)
        winners(d, page);
    report_page_heading(page, report_score_title(d));
    report_page_table(page, "task|arm|seeds|IQM|95 % interval|against baseline|95 % interval|P(better)|95 % interval", 2);
    for (int t = 0; t < r->n_tasks; t++)
        for (int a = 0; a < r->n_arms; a++)
            return_row(d, page, a, t);
    for (int a = 0; a < r->n_arms && r->n_tasks > 1; a++)
        return_row(d, page, a, ALL_TASKS);
    report_page_table_end(page);
    report_page_heading(page, "Time, throughput and staleness");
    report_page_paragraph(page, "Means over seeds; the staleness's maximum is over everything. Staleness is that "
        "of data when they are learnt from: versions since the one that acted.");
    report_page_table(page, SAY(d, "task|arm|%s time to the end (s)|transitions/s|updates/s|staleness, mean (versions)|"
                                "staleness, max", r->is_virtual ? "virtual" : "wall-clock"), 2);
    for (int t = 0; t < r->n_tasks; t++)
        for (int a = 0; a < r->n_arms; a++)
            course_row(d, page, a, t);
    report_page_table_end(page);
}

/* ---- runs ---- */

static bool was_run(const struct report *r, int arm, int task, int64_t seed)
{
    for (int i = 0; i < r->n_runs; i++)
        if (r->runs[i].arm == arm && r->runs[i].task == task && r->runs[i].seed == seed)
            return true;
    return false;
}

/* Seeds that some cell has and this one lacks, each once. */
static const char *missing_seeds(const struct report_data *d, int arm, int task)
{
    const struct report *r = d->r;
    int64_t *seeds = arena_alloc(d->arena, (size_t)r->n_runs + 1, sizeof(*seeds));
    int n = 0;
    for (int i = 0; i < r->n_runs; i++) {
        bool is_new = !was_run(r, arm, task, r->runs[i].seed);
        for (int k = 0; k < n; k++)
            is_new = is_new && seeds[k] != r->runs[i].seed;
        if (is_new)
            seeds[n++] = r->runs[i].seed;
    }
    return n ? comparison_seeds(seeds, n, d->arena) : NULL;
}

static void missing_cells(const struct report_data *d, struct report_page *page)
{
    const struct report *r = d->r;
    if (r->n_missing > 0)
        report_page_paragraph(page, SAY(d, "%d cell%s of the study failed or %s not run; nothing above counts them.",
                                        r->n_missing, text_plural(r->n_missing), r->n_missing == 1 ? "was" : "were"));
    for (int t = 0; t < r->n_tasks; t++)
        for (int a = 0; a < r->n_arms; a++) {
            const char *seeds = missing_seeds(d, a, t);
            if (seeds)
                report_page_paragraph(page, SAY(d, "Missing: %s, %s, seeds %s.", r->arms[a], r->tasks[t], seeds));
        }
}

void report_runs(const struct report_data *d, struct report_page *page)
{
    const struct report *r = d->r;
    report_page_heading(page, "All runs");
    missing_cells(d, page);
    report_page_table(page, SAY(d, "task|arm|run|status|seed|%s|transitions|time (s)|configuration",
                                report_score_word(d)), 4);
    for (int t = 0; t < r->n_tasks; t++)
        for (int a = 0; a < r->n_arms; a++)
            for (int i = 0; i < r->n_runs; i++) {
                const struct results *run = &d->runs[i];
                if (r->runs[i].arm != a || r->runs[i].task != t)
                    continue;
                const char *const cells[] = {
                    r->tasks[t], r->arms[a], run->name, run->status, SAY(d, "%" PRId64, r->runs[i].seed),
                    report_number(d, report_score(d, i), 5), SAY(d, "%.0f", run->env_steps),
                    report_number(d, run->time_s, 4), run->config_hash
                };
                for (size_t k = 0; k < sizeof(cells) / sizeof(*cells); k++)
                    report_page_cell(page, cells[k], false);
            }
    report_page_table_end(page);
}
