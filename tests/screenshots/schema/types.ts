// Grafana's own types of what the dashboards are made of. An option left out has its default,
// hence Partial; one that Grafana does not know, or of the wrong kind, is an error.
import type { GraphFieldConfig, TableFieldOptions } from './node_modules/@grafana/schema/dist/types/common/common.gen';
import type * as stat from './node_modules/@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import type * as table from './node_modules/@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen';
import type * as timeseries from './node_modules/@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';

export type { Dashboard } from './node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen';

export type StatOptions = Partial<stat.Options>;
export type TableOptions = Partial<table.Options>;
export type TimeseriesOptions = Partial<timeseries.Options>;
export type TableFields = Partial<TableFieldOptions>;
export type TimeseriesFields = Partial<GraphFieldConfig>;
