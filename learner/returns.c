#include "learner/returns.h"

#include <math.h>

static const real *row_at(const struct round *r, int t)
{
    return r->rows + (size_t)t * (size_t)row_stride(r->shape);
}

static enum row_kind kind_at(const struct round *r, int t)
{
    return (enum row_kind)(int)row_at(r, t)[row_kind(r->shape)];
}

static double reward_at(const struct round *r, int t)
{
    return (double)row_at(r, t)[row_reward(r->shape)];
}

/* The last row of every fragment and the row behind the end of every episode are CLOSE, so that the trace
 * is cut wherever the walk meets one: whatever it carries belongs to rows of the same episode. */
void returns_gae(const struct round *r, const real *value, double gamma, double lambda,
                 bool truncation_terminates, real *advantage, real *target)
{
    double trace = 0;    /* A_{t+1} */
    for (int t = r->n_rows - 1; t >= 0; t--) {
        enum row_kind kind = kind_at(r, t);
        if (kind == ROW_CLOSE) {
            trace = 0;
            advantage[t] = target[t] = 0;
            continue;
        }
        bool is_end = kind == ROW_TERMINATED || (kind == ROW_TRUNCATED && truncation_terminates);
        double next = is_end ? 0 : (double)value[t + 1];    /* selected: it may be anything behind an end */
        double delta = reward_at(r, t) + gamma * next - (double)value[t];
        trace = delta + gamma * lambda * trace;
        advantage[t] = (real)trace;
        target[t] = (real)(trace + (double)value[t]);
    }
}

/* min(bar, ratio), and NaN for a ratio that is NaN. */
static double clipped(double ratio, double bar)
{
    return ratio > bar ? bar : ratio;
}

void returns_vtrace(const struct round *r, const real *value, const real *log_ratio,
                    const struct vtrace *v, real *advantage, real *target)
{
    double trace = 0;    /* v_{t+1} - V(s_{t+1}) */
    for (int t = r->n_rows - 1; t >= 0; t--) {
        enum row_kind kind = kind_at(r, t);
        if (kind == ROW_CLOSE) {
            trace = 0;
            advantage[t] = target[t] = 0;
            continue;
        }
        double ratio = exp((double)log_ratio[t]);
        double rho = clipped(ratio, v->rho_bar), c = v->lambda * clipped(ratio, v->c_bar);
        double next = kind == ROW_TERMINATED ? 0 : (double)value[t + 1];
        double delta = reward_at(r, t) + v->gamma * next - (double)value[t];
        advantage[t] = (real)(rho * (delta + v->gamma * trace));    /* r + gamma v_{t+1} - V(s_t) */
        trace = rho * delta + v->gamma * c * trace;
        target[t] = (real)((double)value[t] + trace);
    }
}

int returns_check_vtrace(const char *name, const struct vtrace *v, bool truncation_terminates,
                         struct error *err)
{
    if (truncation_terminates)
        return error_set(err, ERR_CONFIG, "%s.vtrace always bootstraps at time limits; choose "
                         "%s.truncation_terminates=false, or %s.vtrace=false", name, name, name);
    if (v->c_bar > v->rho_bar || v->rho_bar <= 0)
        return error_set(err, ERR_CONFIG, "%s.c_bar is %g and %s.rho_bar %g; choose a rho_bar above 0, or "
                         "values never move, and c_bar <= rho_bar, or they need not converge",
                         name, v->c_bar, name, v->rho_bar);
    return 0;
}

struct spread returns_spread(const real *x, const int *at, int n)
{
    struct spread s = { 0, 0 };
    double squares = 0;
    for (int i = 0; i < n; i++)
        s.mean += (double)x[at ? at[i] : i] / n;
    for (int i = 0; i < n; i++) {
        const double d = (double)x[at ? at[i] : i] - s.mean;
        squares += d * d;
    }
    s.std = n > 1 ? sqrt(squares / (n - 1)) : 0;
    return s;
}

void returns_normalise(real *x, const int *at, int n, struct spread s)
{
    const double scale = 1 / (s.std + 1e-8);
    for (int i = 0; i < n; i++) {
        real *a = &x[at ? at[i] : i];
        *a = (real)(((double)*a - s.mean) * scale);
    }
}

double returns_explained_variance(const struct round *r, const real *value, const real *target)
{
    /* In two passes: returns may be far from zero and close to each other. */
    double sum_target = 0, sum_error = 0, var_target = 0, var_error = 0;
    for (int t = 0; t < r->n_rows; t++)
        if (kind_at(r, t) != ROW_CLOSE) {
            sum_target += (double)target[t];
            sum_error += (double)target[t] - (double)value[t];
        }
    double mean_target = sum_target / r->n_transitions, mean_error = sum_error / r->n_transitions;
    for (int t = 0; t < r->n_rows; t++)
        if (kind_at(r, t) != ROW_CLOSE) {
            double from_mean = (double)target[t] - mean_target;
            double error = (double)target[t] - (double)value[t] - mean_error;
            var_target += from_mean * from_mean;
            var_error += error * error;
        }
    return var_target > 0 ? 1 - var_error / var_target : 0;
}
